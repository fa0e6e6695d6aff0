"""Adapters that run models, each against an independent computation of the same network."""

from __future__ import annotations

import hashlib
import importlib
import json
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError, ReadError, UnsafeFileError, WriteError
from nanospine.output.training_volumes import simulated_pair
from nanospine.voxels.deep import DeepModel, ModelSpec, deep_segment, predict
from nanospine.voxels.deep_adapters import CallableModel, OnnxModel, TorchModel, default_model
from nanospine.voxels.deep_bioimageio import BioimageIOModel
from nanospine.voxels.deep_folders import nnunet_segment, read_case, write_case
from nanospine.voxels.deep_keras import DEEPD3, DeepD3Model
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segment import segment

KERNEL = np.random.default_rng(5).normal(size=(2, 1, 3, 3, 3)).astype(np.float32)


def convolved(data: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    """What the little model gives, by scipy."""
    raw = [ndimage.correlate(data, kernel[0], mode="constant") for kernel in KERNEL]
    return [1 / (1 + np.exp(-item)) for item in raw]


def little_onnx() -> bytes:
    """A convolution and a sigmoid, of any size."""
    onnx = pytest.importorskip("onnx", reason="onnx writes the test model")
    helper, proto = onnx.helper, onnx.TensorProto
    space = ["n", None, "z", "y", "x"]
    ins = helper.make_tensor_value_info("in", proto.FLOAT, ["n", 1, *space[2:]])
    outs = helper.make_tensor_value_info("out", proto.FLOAT, ["n", 2, *space[2:]])
    nodes = [
        helper.make_node("Conv", ["in", "w"], ["y"], pads=[1] * 6),
        helper.make_node("Sigmoid", ["y"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes, "g", [ins], [outs], [onnx.numpy_helper.from_array(KERNEL, "w")]
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def little_grid() -> VoxelGrid:
    data = np.random.default_rng(0).normal(size=(14, 18, 22)).astype(np.float32)
    return VoxelGrid(data, 50.0, (0, 0, 0))


def test_an_onnx_file_gives_what_scipy_gives_tiled_and_whole(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    path = tmp_path / "little.onnx"
    path.write_bytes(little_onnx())
    grid = little_grid()
    for tile in (64, 10):
        model = OnnxModel(path, ModelSpec(tile=(tile,) * 3, halo=2))
        assert isinstance(model, DeepModel)
        found = predict(model, grid)
        for name, expected in zip(("dendrite", "spine"), convolved(grid.data), strict=True):
            np.testing.assert_allclose(found[name].data, expected, atol=1e-5)


def test_a_file_that_is_no_onnx_model_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime reads the model")
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(ReadError, match="is not an ONNX model"):
        OnnxModel(tmp_path / "bad.onnx", ModelSpec())
    with pytest.raises(ReadError, match="no such file"):
        OnnxModel(tmp_path / "none.onnx", ModelSpec())


def test_a_missing_package_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_import(name: str, package: str | None = None) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", no_import)
    with pytest.raises(ConfigError, match=r"needs onnxruntime.*nanospine\[deep\]"):
        OnnxModel(b"", ModelSpec())
    with pytest.raises(ConfigError, match=r"needs torch.*nanospine\[torch\]"):
        TorchModel(None, ModelSpec())


def test_torch_modules_and_exported_programs_give_what_scipy_gives(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="torch runs the model")
    module = torch.nn.Conv3d(1, 2, 3, padding=1, bias=False)
    module.weight.data = torch.from_numpy(KERNEL)
    grid = little_grid()
    path = tmp_path / "little.pt2"
    dims = {0: torch.export.Dim.AUTO, **dict.fromkeys((2, 3, 4), torch.export.Dim.AUTO)}
    program = torch.export.export(module, (torch.zeros(2, 1, 8, 9, 10),), dynamic_shapes=(dims,))
    torch.export.save(program, str(path))
    for given in (module, path):
        model = TorchModel(
            given, ModelSpec(tile=(64,) * 3), activation="sigmoid", trusted=given is path
        )
        found = predict(model, grid)
        for name, expected in zip(("dendrite", "spine"), convolved(grid.data), strict=True):
            np.testing.assert_allclose(found[name].data, expected, atol=1e-5)
    with pytest.raises(UnsafeFileError, match="can run code"):
        TorchModel(path, ModelSpec())
    (tmp_path / "pickle.pt").write_bytes(b"x")
    with pytest.raises(ReadError, match="can run code"):
        TorchModel(tmp_path / "pickle.pt", ModelSpec())
    with pytest.raises(ConfigError, match="activation of none"):
        TorchModel(module, ModelSpec(), activation="odd")


# ---- the U-Net that comes along


def test_the_unet_finds_dendrite_and_spines_of_an_unseen_dendrite() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    pair = simulated_pair(2024, length_nm=2500.0, voxel_nm=40.0)
    found, truth = segment(pair.image, "unet").labels, pair.labels.data

    def dice(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
        return 2 * float((a & b).sum()) / float(a.sum() + b.sum())

    assert dice(found > 0, truth > 0) > 0.95
    assert dice(found > 1, truth > 1) > 0.90


def test_the_unet_finds_nothing_in_nothing() -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    empty = segment(VoxelGrid(np.zeros((9, 20, 30)), 40.0, (0, 0, 0)), "unet")
    assert (empty.labels == 0).all()
    assert default_model() is default_model()


def test_the_card_of_the_unet_belongs_to_its_weights() -> None:
    folder = Path(__file__).parents[2] / "src/nanospine/voxels/models"
    card = json.loads((folder / "dual_unet.json").read_text())
    weights = (folder / "dual_unet.onnx").read_bytes()
    assert hashlib.sha256(weights).hexdigest() == card["sha256"]
    assert len(weights) < 1_000_000
    assert card["dice_unseen"]["dendrite"] >= 0.95
    assert card["dice_unseen"]["spine"] >= 0.90


# ---- Keras


def keras_unet() -> Any:
    keras = pytest.importorskip("keras", reason="Keras is the oracle")
    layers = keras.layers

    def conv(x: Any, n: int) -> Any:
        x = layers.Conv2D(n, 3, padding="same", use_bias=False)(x)
        return layers.Activation("swish")(layers.BatchNormalization(epsilon=1e-3)(x))

    start = layers.Input((None, None, 1))
    a = layers.Add()([conv(conv(start, 4), 4), layers.Conv2D(4, 1)(start)])
    b = conv(layers.MaxPooling2D()(a), 8)
    ends = []
    for name in ("dendrites", "spines"):
        up = layers.Concatenate()([layers.UpSampling2D()(b), a])
        ends.append(layers.Conv2D(1, 1, activation="sigmoid", name=name)(conv(up, 4)))
    model = keras.Model(start, ends)
    draw = np.random.default_rng(3)
    for weight in model.weights:
        value = draw.normal(0, 0.4, weight.shape)
        weight.assign(np.abs(value) + 0.3 if "variance" in weight.path else value)
    return model


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")  # of Keras
def test_a_keras_file_gives_in_torch_what_keras_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="torch runs the network")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    model = keras_unet()
    path = tmp_path / "model.h5"
    model.save(path)
    image = np.random.default_rng(1).normal(size=(2, 1, 16, 24)).astype(np.float32)
    expected = model.predict(image.transpose(0, 2, 3, 1), verbose=0)
    both = np.concatenate([np.asarray(item) for item in expected], axis=-1).transpose(0, 3, 1, 2)
    ours = DeepD3Model(path)
    np.testing.assert_allclose(ours(image), both, atol=2e-6)
    grid = VoxelGrid(np.random.default_rng(2).poisson(5, (2, 40, 50)), (500, 94, 94), (0, 0, 0))
    assert predict(ours, grid)["spine"].data.shape == (2, 40, 50)


def write_keras2(
    path: Path, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32]
) -> None:
    """A file as TensorFlow 2.10 wrote it: nodes as lists, weights named `layer/kernel:0`."""
    layers = [
        {"class_name": "InputLayer", "name": "in", "config": {"name": "in"}, "inbound_nodes": []},
        {
            "class_name": "Conv2D",
            "name": "c",
            "config": {"padding": "same", "strides": [1, 1], "activation": "sigmoid"},
            "inbound_nodes": [[["in", 0, 0, {}]]],
        },
    ]
    config = {"layers": layers, "input_layers": [["in", 0, 0]], "output_layers": [["c", 0, 0]]}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config})
        group = file.create_group("model_weights/c")
        group.attrs["weight_names"] = [b"c/kernel:0", b"c/bias:0"]
        group["c/kernel:0"] = kernel
        group["c/bias:0"] = bias


def test_a_file_of_keras_2_is_read_without_keras(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch runs the network")
    draw = np.random.default_rng(8)
    kernel = draw.normal(size=(3, 3, 1, 2)).astype(np.float32)
    bias = draw.normal(size=2).astype(np.float32)
    write_keras2(tmp_path / "m.h5", kernel, bias)
    image = draw.normal(size=(1, 1, 9, 11)).astype(np.float32)
    found = DeepD3Model(tmp_path / "m.h5", DEEPD3)(image)
    for i in range(2):
        raw = ndimage.correlate(image[0, 0], kernel[:, :, 0, i], mode="constant") + bias[i]
        np.testing.assert_allclose(found[0, i], 1 / (1 + np.exp(-raw)), atol=1e-5)


def test_keras_files_without_a_graph_or_with_unknown_layers_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch would run the network")
    with h5py.File(tmp_path / "weights.h5", "w") as file:
        file.create_group("model_weights")
    with pytest.raises(ReadError, match="saved with its graph"):
        DeepD3Model(tmp_path / "weights.h5")
    write_keras2(tmp_path / "odd.h5", np.zeros((3, 3, 1, 1), np.float32), np.zeros(1, np.float32))
    with h5py.File(tmp_path / "odd.h5", "a") as file:
        text = file.attrs["model_config"].replace("Conv2D", "Lambda")
        file.attrs["model_config"] = text
    with pytest.raises(ReadError, match="found Lambda"):
        DeepD3Model(tmp_path / "odd.h5")


# ---- bioimage.io

SPACE = [
    {
        "type": "space",
        "id": name,
        "size": {"min": 8, "step": 2},
        "scale": 0.05,
        "unit": "micrometer",
    }
    for name in "zyx"
]


def package(folder: Path, **changes: Any) -> Path:
    import yaml

    folder.mkdir(exist_ok=True)
    weights = little_onnx()
    (folder / "weights.onnx").write_bytes(weights)
    description: dict[str, Any] = {
        "format_version": "0.5.4",
        "type": "model",
        "inputs": [
            {
                "id": "raw",
                "axes": [{"type": "batch"}, {"type": "channel", "channel_names": ["raw"]}, *SPACE],
                "preprocessing": [
                    {"id": "ensure_dtype", "kwargs": {"dtype": "float32"}},
                    {"id": "scale_linear", "kwargs": {"gain": 2.0, "offset": 1.0}},
                ],
            }
        ],
        "outputs": [
            {
                "id": "probabilities",
                "axes": [
                    {"type": "batch"},
                    {"type": "channel", "channel_names": ["dendrite", "spine"]},
                    *SPACE,
                ],
            }
        ],
        "weights": {
            "onnx": {"source": "weights.onnx", "sha256": hashlib.sha256(weights).hexdigest()}
        },
    }
    description |= changes
    (folder / "rdf.yaml").write_text(yaml.safe_dump(description))
    return folder


def test_a_bioimageio_package_says_how_it_wants_to_be_run(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    folder = package(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model.zip", "w") as archive:
        for file in folder.iterdir():
            archive.write(file, file.name)
    grid = little_grid()
    for place in (folder, folder / "rdf.yaml", tmp_path / "model.zip"):
        model = BioimageIOModel(place)
        assert model.spec.voxel_nm == pytest.approx((50.0, 50.0, 50.0))
        assert model.spec.outputs == ("dendrite", "spine")
        assert model.spec.divisor == 2
        found = predict(model, grid)
        # At the edge the tile of even size sees one reflected voxel more.
        inner = (slice(0, -2),) * 3
        expected = [1 / (1 + np.exp(-v)) for v in _raw(2 * grid.data + 1)]
        np.testing.assert_allclose(found["spine"].data[inner], expected[1][inner], atol=1e-4)


def _raw(data: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [ndimage.correlate(data, kernel[0], mode="constant") for kernel in KERNEL]


def test_a_package_of_format_04_is_read(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime", reason="onnxruntime runs the model")
    old = {
        "axes": "bczyx",
        "shape": {"min": [1, 1, 8, 8, 8], "step": [0, 0, 4, 4, 4]},
        "preprocessing": [{"name": "zero_mean_unit_variance", "kwargs": {"mode": "per_sample"}}],
    }
    out = {"axes": "bczyx", "halo": [0, 0, 4, 4, 4], "postprocessing": [{"name": "sigmoid"}]}
    model = BioimageIOModel(
        package(tmp_path / "old", inputs=[old], outputs=[out]), outputs=("dendrite", "spine")
    )
    assert model.spec.divisor == 4
    assert model.spec.normalisation == "zscore"
    assert model.spec.voxel_nm is None
    assert predict(model, little_grid())["spine"].data.shape == (14, 18, 22)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"weights": {"torchscript": {"source": "w.pt"}}}, "onnx weights were expected"),
        ({"weights": {"onnx": {"source": "../w.onnx"}}}, "weights inside the package"),
        ({"weights": {"onnx": {"source": "https://a.b/w.onnx"}}}, "weights inside the package"),
        ({"weights": {"onnx": {"source": "weights.onnx", "sha256": "0" * 64}}}, "sha256"),
        ({"weights": {"onnx": {"source": "gone.onnx"}}}, "missing in the package"),
        ({"inputs": [{"axes": "bzyxc"}]}, "batch, channel and"),
        (
            {"inputs": [{"axes": "bcyx", "preprocessing": [{"name": "odd"}]}]},
            "preprocessing step 'odd'",
        ),
        ({"inputs": []}, "does not describe a model"),
    ],
)
def test_packages_that_cannot_be_run_are_refused(
    changes: dict[str, Any], words: str, tmp_path: Path
) -> None:
    with pytest.raises(ReadError, match=words):
        BioimageIOModel(package(tmp_path / "bad", **changes))


# ---- folders


def test_folder_out_folder_in_keeps_place_and_gives_roles(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile", reason="tifffile writes the case")
    data = np.random.default_rng(0).poisson(3.0, (6, 8, 10))
    grid = VoxelGrid(data, (150.0, 65.0, 60.0), (1e8, -3.0, 0.25))
    image = write_case(grid, tmp_path / "imagesTs", "cell 1")
    assert image.name == "cell 1_0000.tif"
    assert tifffile.imread(image).dtype == np.uint16
    assert (tifffile.imread(image) == data).all()
    spacing = json.loads((tmp_path / "imagesTs/cell 1.json").read_text())["spacing"]
    assert spacing == pytest.approx([0.15, 0.065, 0.06])
    result = np.zeros(data.shape, dtype=np.uint8)
    result[1:3], result[4:, 2:4, 2:4] = 2, 1
    (tmp_path / "out").mkdir()
    tifffile.imwrite(tmp_path / "out/cell 1.tif", result, resolution=(0.065, 0.065))
    found = read_case(
        tmp_path / "out", "cell 1", {1: "spine", 2: "dendrite"}, sidecar=tmp_path / "imagesTs"
    )
    assert found.origin_nm.tolist() == [1e8, -3.0, 0.25]
    assert found.voxel_nm.tolist() == [150.0, 65.0, 60.0]
    assert (found.labels == np.array([0, 2, 1])[result]).all()
    tifffile.imwrite(tmp_path / "out/cell 1.tif", result[:, :-1])
    with pytest.raises(GeometryError, match="cropped, resampled or turned"):
        read_case(tmp_path / "out", "cell 1", None, sidecar=tmp_path / "imagesTs")
    with pytest.raises(ReadError, match="was expected"):
        read_case(
            tmp_path / "out", "cell 2", None, sidecar=tmp_path / "imagesTs/cell 1.nanospine.json"
        )
    with pytest.raises(WriteError, match="plain name"):
        write_case(grid, tmp_path, "../a")


def test_an_nnunet_predictor_gets_micrometres_and_gives_roles() -> None:
    class Predictor:
        def predict_single_npy_array(
            self, image: npt.NDArray[Any], properties: dict[str, Any], *_: Any
        ) -> npt.NDArray[Any]:
            assert image.dtype == np.float32
            assert image.ndim == 4
            assert properties["spacing"] == pytest.approx([0.2, 0.1, 0.1])
            return (image[0] > 1).astype(np.uint8)

    data = np.zeros((4, 5, 6))
    data[1:3] = 2
    grid = VoxelGrid(data, (200.0, 100.0, 100.0), (0, 0, 0))
    found = nnunet_segment(grid, Predictor(), {1: "dendrite"})
    assert (found.labels == (data > 1)).all()


def test_a_folder_that_is_no_nnunet_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match=r"plans\.json"):
        nnunet_segment(little_grid(), tmp_path, {1: "spine"})


def test_a_callable_with_one_output_gives_a_mask() -> None:
    grid = VoxelGrid(np.pad(np.ones((4, 4, 4)), 3), 100.0, (0, 0, 0))
    model = CallableModel(lambda batch: batch, ModelSpec(("foreground",), tile=(64,) * 3))
    found = deep_segment(model, grid)
    assert found.roles == {0: "background", 1: "dendrite"}
    assert found.labels.sum() == 64
