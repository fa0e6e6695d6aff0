"""A trained model by its path, in Python and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage
from typer.testing import CliRunner

import nanospine as ns
from nanospine.cli.app import app
from nanospine.core.errors import ConfigError, ReadError, UnsafeFileError
from nanospine.voxels.deep_open import read_spec

KERNEL = np.full((2, 1, 1, 3, 3), 1 / 9, dtype=np.float32)
LIMIT = {"shaft": 8.0, "spine": 14.0}
OFFSET = np.array([-LIMIT["shaft"], -LIMIT["spine"]], dtype=np.float32)
SPEC = {"dims": 2, "tile": [64, 64], "halo": 2, "activation": "sigmoid", "voxel_nm": None}


def image() -> ns.VoxelGrid:
    """A rod of brightness 10 with a head of 20 on it; means of 3 x 3 tell them apart."""
    data = np.zeros((6, 24, 40), dtype=np.float32)
    data[1:5, 8:16, 4:36] = 10.0
    data[1:5, 16:22, 18:24] = 20.0
    return ns.VoxelGrid(data, (100.0, 50.0, 50.0), (1000.0, 2000.0, 3000.0))


def truth() -> npt.NDArray[Any]:
    """1 shaft, 2 spine, by scipy; each plane by itself."""
    mean = ndimage.correlate(image().data, np.full((1, 3, 3), 1 / 9), mode="constant")
    return np.where(mean > LIMIT["spine"], 2, np.where(mean > LIMIT["shaft"], 1, 0))


def write_onnx(path: Path) -> None:
    onnx = pytest.importorskip("onnx", reason="onnx writes the test model")
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    helper, proto = onnx.helper, onnx.TensorProto
    ends = [
        helper.make_tensor_value_info(name, proto.FLOAT, ["n", count, "y", "x"])
        for name, count in (("in", 1), ("out", 2))
    ]
    node = helper.make_node("Conv", ["in", "w", "b"], ["out"], pads=[1] * 4)
    held = [
        onnx.numpy_helper.from_array(KERNEL[:, :, 0], "w"),
        onnx.numpy_helper.from_array(OFFSET, "b"),
    ]
    graph = helper.make_graph([node], "g", ends[:1], ends[1:], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path.write_bytes(model.SerializeToString())


def as_onnx(folder: Path) -> Path:
    write_onnx(folder / "model.onnx")
    (folder / "model.json").write_text(json.dumps(SPEC))
    return folder / "model.onnx"


def as_pt2(folder: Path) -> Path:
    torch = pytest.importorskip("torch", reason="torch runs the model")
    module = torch.nn.Conv2d(1, 2, 3, padding=1)
    module.weight.data = torch.from_numpy(KERNEL[:, :, 0].copy())
    module.bias.data = torch.from_numpy(OFFSET.copy())
    auto = torch.export.Dim.AUTO
    program = torch.export.export(
        module, (torch.zeros(2, 1, 8, 9),), dynamic_shapes=({0: auto, 2: auto, 3: auto},)
    )
    torch.export.save(program, str(folder / "model.pt2"))
    (folder / "model.json").write_text(json.dumps(SPEC))
    return folder / "model.pt2"


def as_bioimageio(folder: Path) -> Path:
    import yaml

    place = folder / "package"
    place.mkdir()
    write_onnx(place / "weights.onnx")
    space = [{"type": "space", "id": name, "size": {"min": 8, "step": 1}} for name in "yx"]
    channel = {"type": "channel", "channel_names": ["dendrite", "spine"]}
    description = {
        "inputs": [{"axes": [{"type": "batch"}, {"type": "channel"}, *space]}],
        "outputs": [
            {
                "axes": [{"type": "batch"}, channel, *space],
                "postprocessing": [{"id": "sigmoid"}],
            }
        ],
        "weights": {"onnx": {"source": "weights.onnx"}},
    }
    (place / "rdf.yaml").write_text(yaml.safe_dump(description))
    return place


def as_deepd3(folder: Path) -> Path:
    """As TensorFlow 2.10 wrote files; brightness is scaled to -1..1 there, so offsets differ."""
    pytest.importorskip("torch", reason="torch runs the network")
    layers = [
        {"class_name": "InputLayer", "name": "in", "config": {"name": "in"}, "inbound_nodes": []}
    ]
    for name in ("dendrites", "spines"):
        config = {"padding": "same", "strides": [1, 1], "activation": "sigmoid"}
        before = [[["in", 0, 0, {}]]]
        layers.append(
            {"class_name": "Conv2D", "name": name, "config": config, "inbound_nodes": before}
        )
    graph = {
        "layers": layers,
        "input_layers": [["in", 0, 0]],
        "output_layers": [["dendrites", 0, 0], ["spines", 0, 0]],
    }
    path = folder / "model.h5"
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": graph})
        for name, limit in zip(("dendrites", "spines"), LIMIT.values(), strict=True):
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}/kernel:0", f"{name}/bias:0"]
            group[f"{name}/kernel:0"] = np.full((3, 3, 1, 1), 1e3 / 9, dtype=np.float32)
            group[f"{name}/bias:0"] = np.float32([-1e3 * (limit / 10 - 1)])
    return path


KINDS = {"onnx": as_onnx, "pt2": as_pt2, "bioimage.io": as_bioimageio, "deepd3": as_deepd3}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_run_by_the_command_line_on_a_file_and_labels_its_points(
    kind: str, tmp_path: Path
) -> None:
    path = KINDS[kind](tmp_path)
    grid = image()
    if kind == "deepd3":  # planes that are empty have no scale
        grid = ns.VoxelGrid(grid.data[1:5], (100.0, 94.0, 94.0), grid.origin_nm)
    expected = truth()[1:5] if kind == "deepd3" else truth()
    ns.write_volume(grid, tmp_path / "image.tif")
    where = np.argwhere(expected >= 0)
    ns.write(ns.from_arrays(grid.to_xyz_nm(where)), tmp_path / "points.parquet")
    trust = ["--trust-model"] if kind == "pt2" else []
    words = ["segment", "image.tif", *trust, "--model", path, "-o", "labels.tif", "--points",
             "points.parquet", "--points-out", "labelled.parquet", "--option", "threshold=0.5",
             "--option", "min_volume_nm3=0", "--option", "min_spine_nm3=0"]  # fmt: skip
    given = [
        str(tmp_path / word) if "." in str(word) and "=" not in str(word) else str(word)
        for word in words
    ]
    done = CliRunner().invoke(app, given)
    assert done.exit_code == 0, done.output
    labels = ns.read_labels(tmp_path / "labels.tif")
    # The sidecar keeps the place, the model the size of its voxels
    np.testing.assert_array_equal(labels.origin_nm, grid.origin_nm)
    # Padding is by reflection, zeros there: rims of the picture are empty in both
    np.testing.assert_array_equal(np.minimum(labels.labels, 2), expected)
    back = ns.read(tmp_path / "labelled.parquet").table["voxel_label"].to_numpy()
    np.testing.assert_array_equal(np.minimum(back, 2), expected[tuple(where.T)])


def test_a_model_is_a_method_of_segment() -> None:
    def network(batch: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        mean = ndimage.uniform_filter(batch, (0, 0, 3, 3), mode="constant")
        return np.concatenate([mean - LIMIT["shaft"], mean - LIMIT["spine"]], axis=1)

    model = ns.CallableModel(network, ns.ModelSpec(dims=2, halo=2, activation="sigmoid"))
    labels = ns.segment(image(), model, min_volume_nm3=0.0, min_spine_nm3=0.0)
    np.testing.assert_array_equal(labels.labels, truth())
    assert labels.roles == {0: "background", 1: "shaft", 2: "spine"}


def test_softmax_makes_probabilities_of_logits() -> None:
    spec = ns.ModelSpec(outputs=("a", "b"), dims=2, halo=2, activation="softmax")
    model = ns.CallableModel(lambda batch: np.concatenate([batch, 0 * batch], axis=1), spec)
    found = ns.predict(model, image())
    np.testing.assert_allclose(found["a"].data, 1 / (1 + np.exp(-image().data)), atol=1e-6)
    np.testing.assert_allclose(found["a"].data + found["b"].data, 1.0, atol=1e-6)


def _nnunet(folder: Path, labels: dict[str, int]) -> Path:
    folder.mkdir()
    (folder / "plans.json").write_text("{}")
    (folder / "dataset.json").write_text(json.dumps({"labels": labels}))
    return folder


def test_classes_of_an_nnunet_come_from_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _nnunet(tmp_path / "a", {"background": 0, "dendrite": 1, "spine": 2})
    asked = []

    def run(grid: Any, model: Any, classes: Any, **options: Any) -> Any:
        asked.append((classes, options))
        return ns.segment(grid, "otsu")

    monkeypatch.setattr("nanospine.voxels.deep_folders.nnunet_segment", run)
    labels = ns.segment(image(), ns.open_model(folder, trusted=True), folds=(0,))
    assert labels.labels.any()
    assert asked == [({0: "background", 1: "shaft", 2: "spine"}, {"trusted": True, "folds": (0,)})]
    odd = _nnunet(tmp_path / "b", {"background": 0, "thing": 1})
    with pytest.raises(ConfigError, match=r"not clear from its dataset\.json \('thing'\)"):
        ns.open_model(odd, trusted=True)
    ns.segment(image(), ns.open_model(odd, classes={1: "spine"}, trusted=True))
    assert asked[1] == ({1: "spine"}, {"trusted": True})
    with pytest.raises(UnsafeFileError, match="can run code"):
        ns.open_model(folder)


@pytest.mark.parametrize(
    ("name", "content", "spec", "error", "words"),
    [
        ("none.onnx", None, None, ReadError, "no such file"),
        ("a.pt", b"x", None, ReadError, r"can run code"),
        ("a.onnx", b"x", None, ConfigError, "write it to a.json beside it"),
        ("a.zip", b"x", "{}", ConfigError, "describes itself"),
        ("a.pt2", b"x", "[1]", ConfigError, "found list"),
        ("a.pt2", b"x", "{", ReadError, "a JSON file"),
        ("a.pt2", b"x", '{"voxels": 3}', ConfigError, "found voxels"),
        ("a.pt2", b"x", '{"dims": 4}', ConfigError, "dims of 2 or 3"),
        ("a.pt2", b"x", '{"tile": 4}', ConfigError, "spec.json"),
        ("a.pt2", b"x", '{"activation": "relu"}', ConfigError, "activation of none"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_what_cannot_be_opened_is_refused_with_a_reason(
    name: str, content: bytes | None, spec: str | None, error: type, words: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    if spec is not None:
        (tmp_path / "spec.json").write_text(spec)
    with pytest.raises(error, match=words):
        ns.open_model(tmp_path / name, spec=None if spec is None else tmp_path / "spec.json")


def test_a_spec_says_classes_with_numbers(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"kind": "labels", "classes": {"1": "shaft"}}')
    assert read_spec(tmp_path / "a.json").classes == {1: "shaft"}
