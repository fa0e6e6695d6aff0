"""Mutated models: a model that runs on a little batch, or an error of nanospine.

    python tests/attacks/models.py --n 5000 --seed 0 --state counts.json

ONNX files, packages of bioimage.io, DeepD3's .h5 and specs in JSON. Files that can run code
(.pt2, folders of nnU-Net) are refused before anything is read, and have nothing to attack.
"""  # fmt: skip

from __future__ import annotations

import io
import json
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from engine import command, guarded
from mangle import save
from settings import edit_json

SPEC = {"outputs": ["dendrite", "spine"], "dims": 2, "voxel_nm": [None, 94, 94], "tile": [64, 64],
        "halo": 8, "normalisation": "minmax", "divisor": 4}  # fmt: skip


class Models:
    """Attack on `open_model`, `read_spec` and the first run of what they give."""

    title = "file"
    result = "a model"
    refusal = "refused by a nanospine error"

    def prepare(self) -> list[str]:
        self.samples = specimens()
        for name, content in self.samples.items():
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                save_whole(content, path)
                self.open(name, path)
        return sorted(self.samples)

    def open(self, name: str, path: Path) -> str | None:
        import nanospine as ns
        from nanospine.voxels.deep_open import read_spec

        if name == "spec.json":
            return None if isinstance(read_spec(path), ns.ModelSpec) else "no spec"
        spec = ns.ModelSpec(dims=2, tile=(64, 64), halo=8)
        model: Any = ns.open_model(path, spec=spec if name.endswith(("onnx", "h5")) else None)
        grid = ns.VoxelGrid(np.arange(1024.0).reshape(1, 32, 32), (50.0, 94.0, 94.0), (0, 0, 0))
        found = ns.predict(model, grid)
        shapes = {found[output].data.shape for output in model.spec.outputs}
        return None if shapes == {(1, 32, 32)} else f"predictions of shape {shapes}"

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        from nanospine.core.errors import NanospineError

        random = np.random.default_rng((seed, number))
        names = sorted(self.samples)
        name = names[int(random.integers(len(names)))]
        content = self.samples[name]
        path = folder / name
        if name in ("spec.json", "graph.h5") and random.random() < 0.7:
            text = edit_json(json.loads(GRAPH if name == "graph.h5" else json.dumps(SPEC)), random)
            path.write_bytes(text if name == "spec.json" else keras(text.decode()))
        else:
            save(content, path, b"{}", random)
        return guarded(lambda: self.open(name, path), (NanospineError,), name)


def save_whole(content: bytes | dict[str, bytes], path: Path) -> None:
    if isinstance(content, bytes):
        path.write_bytes(content)
        return
    path.mkdir()
    for name, data in content.items():
        (path / name).write_bytes(data)


GRAPH = json.dumps({"class_name": "Functional", "config": {
    "layers": [
        {"class_name": "InputLayer", "name": "in", "config": {"name": "in"}, "inbound_nodes": []},
        *({"class_name": "Conv2D", "name": name, "inbound_nodes": [[["in", 0, 0, {}]]],
           "config": {"padding": "same", "strides": [1, 1], "activation": "sigmoid"}}
          for name in ("dendrites", "spines")),
    ],
    "input_layers": [["in", 0, 0]],
    "output_layers": [["dendrites", 0, 0], ["spines", 0, 0]]}})  # fmt: skip


def keras(graph: str) -> bytes:
    import h5py

    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file.attrs["model_config"] = graph
        for name in ("dendrites", "spines"):
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}/kernel:0", f"{name}/bias:0"]
            group[f"{name}/kernel:0"] = np.ones((3, 3, 1, 1), np.float32)
            group[f"{name}/bias:0"] = np.zeros(1, np.float32)
    return packed.getvalue()


def onnx_bytes() -> bytes:
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    kernel = numpy_helper.from_array(np.ones((2, 1, 3, 3), np.float32), "kernel")
    shape = ["n", 1, "y", "x"]
    graph = helper.make_graph(
        [helper.make_node("Conv", ["in", "kernel"], ["out"], pads=[1, 1, 1, 1])],
        "little",
        [helper.make_tensor_value_info("in", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, ["n", 2, "y", "x"])],
        [kernel],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    return bytes(onnx.ModelProto.SerializeToString(model))


def specimens() -> dict[str, bytes | dict[str, bytes]]:
    onnx = onnx_bytes()
    description = """inputs:
- axes: [{type: batch}, {type: channel}, {type: space, id: y, size: {min: 8, step: 1}},
    {type: space, id: x, size: {min: 8, step: 1}, unit: nanometer, scale: 94.0}]
  preprocessing: [{id: scale_linear, kwargs: {gain: 0.5, offset: 1}}]
outputs:
- axes: [{type: batch}, {type: channel, channel_names: [dendrite, spine]},
    {type: space, id: y, halo: 4}, {type: space, id: x, halo: 4}]
  postprocessing: [{id: sigmoid}]
weights: {onnx: {source: weights.onnx}}
"""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("rdf.yaml", description)
        archive.writestr("weights.onnx", onnx)
    return {
        "little.onnx": onnx,
        "package": {"rdf.yaml": description.encode(), "weights.onnx": onnx},
        "package.zip": packed.getvalue(),
        "graph.h5": keras(GRAPH),
        "spec.json": json.dumps(SPEC).encode(),
    }


if __name__ == "__main__":
    raise SystemExit(command(Models()))
