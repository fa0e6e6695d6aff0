"""Model packages of bioimage.io (rdf.yaml, 0.4 and 0.5), read without their library."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError
from nanospine.voxels.deep_adapters import OnnxModel, model_faults
from nanospine.voxels.deep_spec import ModelSpec
from nanospine.voxels.raw_volume import check_declared

__all__ = ["BioimageIOModel"]

Float32Array = npt.NDArray[np.float32]

_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
_NM = {"nanometer": 1.0, "micrometer": 1e3, "millimeter": 1e6, "meter": 1e9, "angstrom": 0.1}


class BioimageIOModel:
    """A model package of bioimage.io: a folder or zip with rdf.yaml and ONNX weights.

    Axes, voxel sizes (where the axes have a unit of length), preprocessing and postprocessing come
    from the description; weights are checked against its sha256.

    Parameters
    ----------
    path : path-like
        Folder, zip, or the rdf.yaml itself. Nothing is downloaded.
    outputs : tuple of str, optional
        Names of the output's channels, such as ("dendrite", "spine"); by default those that the
        description gives.

    Raises
    ------
    ConfigError
        When onnxruntime is not installed.
    ReadError
        When the package has no ONNX weights, or asks for a step that is not known here.
    """

    def __init__(self, path: str | Path, *, outputs: tuple[str, ...] | None = None) -> None:
        self._where = Path(path).name
        with model_faults(self._where, "is no package of bioimage.io that can be read"):
            self._open(Path(path), outputs)

    def _open(self, path: Path, outputs: tuple[str, ...] | None) -> None:
        read = _reader(path)
        self.description = _description(read, self._where)
        entry = (self.description.get("weights") or {}).get("onnx")
        if not isinstance(entry, dict):
            found = ", ".join(self.description.get("weights") or {}) or "none"
            raise ReadError(
                f"{self._where}: onnx weights were expected, found {found}. Models in other "
                "formats run code when they are opened: load one yourself and use TorchModel."
            )
        weights = read(_inside(entry.get("source"), self._where))
        wanted = entry.get("sha256")
        if wanted and hashlib.sha256(weights).hexdigest() != wanted:
            raise ReadError(
                f"{self._where}: the weights do not have the sha256 of the description."
            )
        self.spec, self._before = _spec(self.description, outputs, self._where)
        self._after = _after(self.description["outputs"][0], self._where)
        self._model = OnnxModel(weights, self.spec)

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the model with the steps before and after that work voxel by voxel."""
        for step in self._before:
            batch = step(batch)
        batch = self._model(np.asarray(batch, dtype=np.float32))
        for step in self._after:
            batch = step(batch)
        return np.asarray(batch, dtype=np.float32)


_Step = Callable[[Float32Array], Float32Array]


def _reader(path: Path) -> Callable[[str], bytes]:
    """Give a function that reads a file of the package by name."""
    if path.is_dir() or path.suffix in (".yaml", ".yml"):
        folder = path if path.is_dir() else path.parent
        if not path.exists():
            raise ReadError(f"{path}: there is no such file.")

        def from_folder(name: str) -> bytes:
            file = folder / name
            if not file.is_file():
                raise ReadError(f"{path.name}: {name} is missing in the package.")
            return file.read_bytes()

        return from_folder
    if not zipfile.is_zipfile(path):
        raise ReadError(f"{path}: a folder, a zip or an rdf.yaml was expected.")

    def from_zip(name: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            if name not in archive.namelist():
                raise ReadError(f"{path.name}: {name} is missing in the package.")
            check_declared([archive.getinfo(name).file_size], 1, path)
            return archive.read(name)

    return from_zip


def _description(read: Callable[[str], bytes], where: str) -> dict[str, Any]:
    import yaml

    for name in _DESCRIPTIONS:
        try:
            text = read(name)
        except ReadError:
            continue
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ReadError(f"{where}: {name} is not YAML.") from error
        if isinstance(found, dict) and found.get("inputs") and found.get("outputs"):
            return found
        raise ReadError(f"{where}: {name} does not describe a model with inputs and outputs.")
    raise ReadError(f"{where}: {' or '.join(_DESCRIPTIONS)} was expected in the package.")


def _inside(source: Any, where: str) -> str:
    """Check that a file named in the description lies in the package."""
    name = source.get("source") if isinstance(source, dict) else source
    parts = PurePosixPath(str(name)).parts
    if "://" in str(name) or not parts or parts[0] == "/" or ".." in parts:
        raise ReadError(
            f"{where}: weights inside the package were expected, found {str(name)[:80]!r}; "
            "download the whole package first."
        )
    return str(PurePosixPath(str(name)))


def _axes(tensor: dict[str, Any]) -> list[dict[str, Any]]:
    """Axes of a tensor as dicts with type, id, step, scale, unit: of format 0.5, or made of 0.4."""
    axes = tensor["axes"]
    if not isinstance(axes, str):
        return [dict(axis) for axis in axes]
    shape = tensor.get("shape")
    step = shape.get("step") if isinstance(shape, dict) else None
    halo = tensor.get("halo") or [0] * len(axes)
    kinds = {"b": "batch", "c": "channel"}
    return [
        {
            "type": kinds.get(letter, "space"),
            "id": letter,
            "size": {"step": step[i]} if step else None,
            "halo": halo[i],
        }
        for i, letter in enumerate(axes)
    ]


def _spec(
    description: dict[str, Any], outputs: tuple[str, ...] | None, where: str
) -> tuple[ModelSpec, list[_Step]]:
    inputs = description["inputs"]
    if len(inputs) != 1 or len(description["outputs"]) != 1:
        raise ReadError(f"{where}: a model with one input and one output was expected.")
    axes = _axes(inputs[0])
    kinds = [axis.get("type") for axis in axes]
    space = [axis for axis in axes if axis.get("type") == "space"]
    order = "".join(str(axis.get("id", "")) for axis in space)
    if kinds[:2] != ["batch", "channel"] or order not in ("yx", "zyx"):
        raise ReadError(
            f"{where}: an input with the axes batch, channel and (z) y x was expected, found "
            f"{', '.join(str(axis.get('id') or axis.get('type')) for axis in axes)}."
        )
    sizes = [axis.get("size") for axis in space]
    steps = [int(size.get("step") or 1) for size in sizes if isinstance(size, dict)]
    fixed = [size for size in sizes if isinstance(size, int)]
    voxel = [_scale_nm(axis) for axis in space]
    out_axes = _axes(description["outputs"][0])
    halos = [int(axis.get("halo") or 0) for axis in out_axes if axis.get("type") == "space"]
    names = outputs or _channel_names(out_axes)
    normalisation, percentiles, before = _before(inputs[0], where)
    halo = max([*halos, 16])
    largest = 512 if order == "yx" else 96
    tile = tuple(fixed) if len(fixed) == len(space) else (max(largest, 4 * halo),) * len(space)
    if fixed:
        halo = min(halo, min(tile) // 4)
    spec = ModelSpec(
        outputs=names,
        dims=len(space),
        voxel_nm=None if not any(voxel) else (*[None] * (3 - len(voxel)), *voxel),  # type: ignore[arg-type]
        normalisation=normalisation,
        percentiles=percentiles,
        tile=tile,
        halo=halo,
        divisor=int(np.lcm.reduce([1, *[step for step in steps if step > 0]])),
        fixed_tile=bool(fixed),
    )
    return spec, before


def _scale_nm(axis: dict[str, Any]) -> float | None:
    unit = _NM.get(str(axis.get("unit")))
    return None if unit is None else unit * float(axis.get("scale", 1.0))


def _channel_names(axes: list[dict[str, Any]]) -> tuple[str, ...]:
    for axis in axes:
        if axis.get("type") == "channel" and axis.get("channel_names"):
            return tuple(str(name) for name in axis["channel_names"])
    return ("dendrite",)


def _step_of(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return str(entry.get("id") or entry.get("name")), dict(entry.get("kwargs") or {})


def _before(tensor: dict[str, Any], where: str) -> tuple[str, tuple[float, float], list[_Step]]:
    """Preprocessing: what needs the whole volume goes to the bridge, the rest to the model."""
    normalisation, percentiles, steps = "none", (1.0, 99.8), []
    for entry in tensor.get("preprocessing") or []:
        name, options = _step_of(entry)
        fixed = name == "fixed_zero_mean_unit_variance" or options.get("mode") == "fixed"
        if name == "ensure_dtype":
            continue
        if name in ("zero_mean_unit_variance", "fixed_zero_mean_unit_variance") and fixed:
            std = float(np.ravel(options["std"])[0])
            steps.append(_linear(1.0 / std, -float(np.ravel(options["mean"])[0]) / std))
        elif name == "zero_mean_unit_variance" and not steps:
            normalisation = "zscore"
        elif name == "scale_range" and not steps:
            low = options.get("min_percentile", 0.0)
            percentiles = (float(low), float(options.get("max_percentile", 100.0)))
            normalisation = "percentile"
        elif name == "scale_linear":
            gain = float(np.ravel(options.get("gain", 1.0))[0])
            steps.append(_linear(gain, float(np.ravel(options.get("offset", 0.0))[0])))
        elif name == "sigmoid":
            steps.append(_sigmoid)
        else:
            raise ReadError(f"{where}: the preprocessing step {name!r} is not known here.")
    return normalisation, percentiles, steps


def _after(tensor: dict[str, Any], where: str) -> list[_Step]:
    steps: list[_Step] = []
    for entry in tensor.get("postprocessing") or []:
        name, options = _step_of(entry)
        if name == "sigmoid":
            steps.append(_sigmoid)
        elif name == "scale_linear":
            gain = float(np.ravel(options.get("gain", 1.0))[0])
            steps.append(_linear(gain, float(np.ravel(options.get("offset", 0.0))[0])))
        elif name != "ensure_dtype":
            raise ReadError(f"{where}: the postprocessing step {name!r} is not known here.")
    return steps


def _linear(gain: float, offset: float) -> _Step:
    return lambda batch: np.asarray(batch * gain + offset, dtype=np.float32)


def _sigmoid(batch: Float32Array) -> Float32Array:
    from scipy.special import expit

    return np.asarray(expit(batch), dtype=np.float32)
