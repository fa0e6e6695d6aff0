"""Damaged models, and models made to run code: cases that an attack found."""

from __future__ import annotations

import io
import json
import os
import zipfile
from pathlib import Path

import h5py
import pytest

import nanospine as ns
from nanospine.core.errors import ConfigError, NanospineError, ReadError, UnsafeFileError
from nanospine.voxels.deep_open import read_spec

SPEC = ns.ModelSpec(dims=2, tile=(64, 64), halo=8)


def packed(damage: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rdf.yaml", "inputs: [1]\noutputs: [1]\nweights: {}\n" * 3)
    data = bytearray(file.getvalue())
    at = data.index({"sum": b"inputs", "magic": b"PK\x03", "directory": b"PK\x01"}[damage])
    data[at] ^= 0xFF
    return bytes(data)


@pytest.mark.parametrize("damage", ["sum", "magic", "directory"])
def test_a_damaged_package(damage: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed(damage))
    with pytest.raises(ReadError, match=r"a\.zip"):
        ns.open_model(tmp_path / "a.zip")


def test_a_package_that_unpacks_without_end(tmp_path: Path) -> None:
    file = tmp_path / "a.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rdf.yaml", b"a" * 1000)
    data = file.read_bytes()
    # The directory declares 3 GB, as a bomb would.
    at = data.index(b"PK\x01\x02") + 24
    file.write_bytes(data[:at] + (3 << 30).to_bytes(4, "little") + data[at + 4 :])
    with pytest.raises(NanospineError, match=r"declares 3221225472 bytes|rdf\.yaml"):
        ns.open_model(file)


GRAPHS = {
    "deep": "[" * 100_000,
    "no graph": '{"config": {"layers": [], "input_layers": [[]], "output_layers": []}}',
    "layer without nodes": json.dumps(
        {"config": {"layers": [{"class_name": "InputLayer", "name": "a", "config": {},
                                "inbound_nodes": [{"args": [{"config": 3}]}]}],
                    "input_layers": ["a"], "output_layers": ["a"]}}
    ),
}  # fmt: skip


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_damaged_keras_model(graph: str, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch runs the network")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        text = GRAPHS[graph]
        file.attrs["model_config"] = text[:60_000] if graph == "deep" else text
    with pytest.raises(ReadError, match=r"a\.h5"):
        ns.open_model(tmp_path / "a.h5")


def test_outputs_that_are_no_layers(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch runs the network")
    layers = [{"class_name": "InputLayer", "name": "in", "config": {}, "inbound_nodes": []}]
    graph = {"layers": layers, "input_layers": ["in"], "output_layers": ["out"]}
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"config": graph})
    grid = ns.VoxelGrid([[[0.0] * 64] * 64], (500, 94, 94), (0, 0, 0))  # type: ignore[arg-type]
    with pytest.raises(ReadError):
        ns.predict(ns.open_model(tmp_path / "a.h5"), grid)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[" * 100_000, "nested too deeply"),
        ('{"tile": [1e308, 64], "divisor": 1' + "0" * 400 + "}", "too large"),
        ('{"divisor": 0}', "divisor 0"),
        ('{"tile": [0]}', "tile"),
    ],
)
def test_a_damaged_spec(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(content)
    with pytest.raises((ReadError, ConfigError), match=said):
        read_spec(tmp_path / "spec.json")


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("name", ["a.pt2", "a.pt", "folder"])
def test_code_in_a_model_does_not_run_unless_somebody_trusts_it(name: str, tmp_path: Path) -> None:
    import pickle

    mark = tmp_path / "harmed"
    path = tmp_path / name
    harm = pickle.dumps(Harm(mark))
    if name == "folder":
        (path / "fold_all").mkdir(parents=True)
        (path / "plans.json").write_text("{}")
        (path / "fold_all" / "checkpoint_final.pth").write_bytes(harm)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data/sample_inputs/model.pt", harm)
            archive.writestr("a/data.pkl", harm)
    with pytest.raises(ReadError, match="can run code") as caught:
        ns.open_model(path, spec=None if name == "folder" else SPEC)
    assert isinstance(caught.value, UnsafeFileError) == (name != "a.pt")
    assert not mark.exists()
    pickle.loads(harm)
    assert mark.exists()  # the case is a case
