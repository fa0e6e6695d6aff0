"""Adapters that run models: a callable, ONNX Runtime, torch, and the U-Net that comes along."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, NanospineError, ReadError, UnsafeFileError
from nanospine.voxels.deep import labels_of, predict
from nanospine.voxels.deep_spec import DeepModel, ModelSpec
from nanospine.voxels.grid import VoxelGrid
from nanospine.voxels.segmenters.common import Segmentation

__all__ = ["CallableModel", "OnnxModel", "TorchModel", "default_model", "unet"]

Float32Array = npt.NDArray[np.float32]


def need(package: str, extra: str, what: str) -> Any:
    """Import a package that an extra brings, or say which.

    Raises
    ------
    ConfigError
        When it is not installed.
    """
    import importlib

    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ConfigError(
            f"{what} needs {package}, which is not installed: pip install 'nanospine[{extra}]'."
        ) from error


@dataclass(frozen=True, eq=False)
class CallableModel:
    """A Python function as a model.

    Parameters
    ----------
    function : callable
        From a float32 array (n, channels, ...) to one of the same n and size.
    spec : ModelSpec
    """

    function: Callable[[Float32Array], Any]
    spec: ModelSpec = field(default_factory=ModelSpec)

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the function."""
        return np.asarray(self.function(batch), dtype=np.float32)


class OnnxModel:
    """An ONNX file, run by ONNX Runtime on the processor.

    Parameters
    ----------
    path : path-like or bytes
        The file, or its content. One input; several outputs of one channel each are put together.
    spec : ModelSpec
    threads : int
        Of ONNX Runtime.

    Raises
    ------
    ConfigError
        When onnxruntime is not installed.
    ReadError
        When the file is missing or is no ONNX model.
    """

    def __init__(self, path: str | Path | bytes, spec: ModelSpec, *, threads: int = 1) -> None:
        name = "model" if isinstance(path, bytes) else str(path)
        runtime = need("onnxruntime", "deep", f"OnnxModel({Path(name).name})")
        self.spec = spec
        if not isinstance(path, bytes) and not Path(path).is_file():
            raise ReadError(f"{name}: there is no such file.")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what is wrong is raised
        try:
            self._session = runtime.InferenceSession(
                path if isinstance(path, bytes) else name,
                sess_options=options,
                providers=["CPUExecutionProvider"],
            )
        except Exception as error:  # onnxruntime has an error class for each kind of fault
            reason = " ".join(str(error).split())[:200]
            raise ReadError(f"{name}: is not an ONNX model that can be run ({reason}).") from error
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise ReadError(f"{name}: a model with one input was expected, found {len(inputs)}.")
        self._name = inputs[0].name
        self._where = Path(name).name
        if not self._session.get_outputs():
            raise ReadError(f"{name}: a model with an output was expected.")

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the model."""
        with model_faults(self._where, f"cannot be run on {batch.shape}"):
            found = self._session.run(None, {self._name: batch})
            return np.concatenate([np.asarray(item, dtype=np.float32) for item in found], axis=1)


class TorchModel:
    """A torch module or an exported program (`.pt2`), run on the processor.

    Parameters
    ----------
    model : torch.nn.Module or path-like
        A module, or a file written by ``torch.export.save``, of one whom you trust: torch unpickles
        what is in it and loads compiled code. Files of other kinds are refused.
    spec : ModelSpec
    activation : str
        none, sigmoid or softmax, applied to the output: many networks give logits.
    trusted : bool
        Say that the file may run code. ONNX files need no such trust.

    Raises
    ------
    ConfigError
        When torch is not installed, or the activation is unknown.
    ReadError
        When the file is not a `.pt2` program.
    UnsafeFileError
        When the file is not said to be trusted.
    """

    def __init__(
        self, model: Any, spec: ModelSpec, *, activation: str = "none", trusted: bool = False
    ) -> None:
        if isinstance(model, str | Path):  # what is not safe is refused with torch and without
            _check_exported(Path(model), trusted)
        torch = need("torch", "torch", "TorchModel")
        if activation not in ("none", "sigmoid", "softmax"):
            raise ConfigError(
                f"TorchModel: activation of none, sigmoid or softmax was expected, found "
                f"{activation!r}."
            )
        self.spec = spec
        self._activation = activation
        self._torch = torch
        if isinstance(model, str | Path):
            model = _exported(torch, Path(model))
        elif hasattr(model, "eval"):
            model = model.eval()
        self._model = model

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the model."""
        torch = self._torch
        with torch.no_grad():
            out = self._model(torch.from_numpy(np.ascontiguousarray(batch)))
            if isinstance(out, tuple | list):
                out = torch.cat(list(out), dim=1)
            if self._activation == "sigmoid":
                out = torch.sigmoid(out)
            elif self._activation == "softmax":
                out = torch.softmax(out, dim=1)
        return np.asarray(out.numpy(), dtype=np.float32)


@contextmanager
def model_faults(where: str, does: str) -> Iterator[None]:
    """Say what a damaged model, or one of another kind, makes of the library that runs it.

    Raises
    ------
    ReadError
        In place of any error that is not ours.
    """
    try:
        yield
    except NanospineError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(f"{where}: {does} ({reason}).") from error


def need_trust(path: Path, trusted: bool, why: str) -> None:
    """Refuse a file that can run code, unless somebody says that it may.

    Raises
    ------
    UnsafeFileError
        When it is not trusted.
    """
    if not trusted:
        raise UnsafeFileError(
            f"{path.name}: opening it can run code that is in it ({why}). If you made it or trust "
            "who did, say trusted=True (command line: --trust-model); an ONNX file needs no trust."
        )


def _check_exported(path: Path, trusted: bool) -> None:
    if not path.is_file():
        raise ReadError(f"{path}: there is no such file.")
    if path.suffix != ".pt2":
        raise ReadError(
            f"{path.name}: a .pt2 file (torch.export.save) was expected; .pt and .pth files can "
            "run code when they are opened: load them yourself and give the module."
        )
    need_trust(path, trusted, "torch unpickles objects and loads compiled libraries")


def _exported(torch: Any, path: Path) -> Any:
    try:
        return torch.export.load(str(path)).module()
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ReadError(f"{path.name}: is not an exported program ({reason}).") from error


@cache
def default_model() -> DeepModel:
    """Give the U-Net that comes with nanospine.

    One encoder and two decoders, 147 k parameters, trained on simulated dendrites alone: counts of
    localizations on the membrane in voxels of 40 nm. Its card says how it was trained and how well
    it does; `benchmarks/train_unet.py` trains it anew.
    """
    folder = resources.files("nanospine.voxels") / "models"
    card = json.loads((folder / "dual_unet.json").read_text(encoding="utf-8"))
    spec = ModelSpec(
        outputs=tuple(card["outputs"]),
        dims=2,
        voxel_nm=(card["voxel_nm"],) * 3,
        normalisation="log1p_half",
        plane_offsets=tuple(card["plane_offsets"]),
        planes_along=("z", "y", "x"),
        tile=(512, 512),
        halo=48,
        divisor=card["divisor"],
        counts=True,
    )
    with resources.as_file(folder / "dual_unet.onnx") as path:
        return OnnxModel(path, spec)


def unet(
    grid: VoxelGrid,
    *,
    threshold: float = 0.5,
    spine_threshold: float = 0.5,
    min_volume_nm3: float = 5e6,
    min_spine_nm3: float = 5e6,
    split_nm: float | None = None,
) -> Segmentation:
    """Segment counts of localizations on a membrane by the U-Net that comes with nanospine.

    Parameters
    ----------
    grid : VoxelGrid
        Counts of localizations; resampled to 40 nm and back.
    threshold, spine_threshold : float
        Of the probabilities of dendrite and spine.
    min_volume_nm3, min_spine_nm3 : float
        Smaller parts are dropped; small spines are left with the shaft.
    split_nm : float, optional
        Divides spines at waists; see `convert_labels`.

    Notes
    -----
    Own model; see :func:`default_model`. It knows dendrites of 0.5 to 1.1 µm with labelled
    membranes, 300 to 2000 fluorophores per µm², and nothing else.
    """
    model = default_model()
    return labels_of(
        predict(model, grid), model.spec, threshold, spine_threshold, min_volume_nm3,
        min_spine_nm3, split_nm,
    )  # fmt: skip
