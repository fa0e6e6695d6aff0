"""Folder out, folder in: tools that are run by hand, and nnU-Net v2 in the same process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, NanospineError, ReadError, WriteError
from nanospine.core.files import atomic_path
from nanospine.core.tiff_pages import check_tiff_pages
from nanospine.voxels.deep_adapters import need, need_trust
from nanospine.voxels.files_tiff import pixels_per_um
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.panoptic import convert_labels, from_classes
from nanospine.voxels.sidecar import read_sidecar, sidecar_path, write_sidecar

__all__ = ["nnunet_segment", "read_case", "write_case"]

_SUFFIXES = (".tif", ".tiff", ".npy")


def write_case(grid: VoxelGrid, folder: str | Path, case: str = "dendrite") -> Path:
    """Write a grid as a case of nnU-Net v2, which GUI tools open too.

    ``CASE_0000.tif`` holds the voxels (z, y, x), ``CASE.json`` the spacing in µm in the order z, y,
    x that nnU-Net expects, and ``CASE.nanospine.json`` the geometry and the sha256 of the voxels,
    which decides on the way back whatever the tool does to its own metadata.

    Parameters
    ----------
    grid : VoxelGrid
        Whole numbers to 65535 are written as uint16, others as float32.
    folder : path-like
        Made when it is missing.
    case : str

    Returns
    -------
    pathlib.Path
        Of the image.

    Raises
    ------
    WriteError
        When the folder cannot be written to, or `case` is no plain name.
    ConfigError
        When tifffile is not installed.
    """
    tifffile = need("tifffile", "volumes", "write_case")
    if not case or Path(case).name != case:
        raise WriteError(f"write_case: a plain name was expected for the case, found {case!r}.")
    out = Path(folder)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{out}: the folder cannot be made: {error.strerror}.") from error
    data = _storable(grid.data)
    image = out / f"{case}_0000.tif"
    um = (grid.voxel_nm / 1000.0).tolist()
    with atomic_path(image) as temporary:
        tifffile.imwrite(
            temporary,
            data,
            imagej=True,
            photometric="minisblack",
            resolution=pixels_per_um(grid.voxel_nm),
            metadata={"axes": "ZYX", "spacing": um[0], "unit": "um"},
        )
    _write_json(out / f"{case}.json", {"spacing": um})
    write_sidecar(out / case, data, grid)
    return image


def read_case(
    folder: str | Path,
    case: str,
    classes: dict[int, str] | None,
    *,
    sidecar: str | Path,
    kind: str = "panoptic",
    min_volume_nm3: float = 0.0,
) -> LabelGrid:
    """Read the labels that a tool wrote for a case.

    Parameters
    ----------
    folder : path-like
        Of the tool's results; ``CASE.tif``, ``CASE.tiff`` or ``CASE.npy`` is read.
    case : str
    classes : dict or None
        From the tool's numbers to roles; see :func:`from_classes`. None: numbers are those of
        objects, and kept.
    sidecar : path-like
        ``CASE.nanospine.json`` that :func:`write_case` wrote, or the folder it lies in. Geometry
        comes from it alone.
    kind : str
        semantic, instance or panoptic.
    min_volume_nm3 : float
        Smaller spines are dropped.

    Returns
    -------
    LabelGrid

    Raises
    ------
    ReadError
        When the labels or the sidecar are missing or damaged.
    GeometryError
        When the labels do not have the shape of what was written.
    """
    known = Path(sidecar)
    written = read_sidecar(sidecar_path(known / case) if known.is_dir() else known)
    place = next((p for s in _SUFFIXES if (p := Path(folder) / f"{case}{s}").is_file()), None)
    if place is None:
        names = ", ".join(f"{case}{suffix}" for suffix in _SUFFIXES)
        raise ReadError(f"{folder}: one of {names} was expected.")
    data = _read(place)
    written.check_shape(data.shape, place.name)
    geometry = VoxelGrid(np.zeros(written.shape, np.int32), written.voxel_nm, written.origin_nm)
    if classes is None:
        from nanospine.voxels.segment import segment

        return segment(geometry, lambda _: data.astype(np.int64))
    return convert_labels(
        from_classes(geometry.with_data(data), classes), kind, min_volume_nm3=min_volume_nm3
    )


def nnunet_segment(
    grid: VoxelGrid,
    model: str | Path | Any,
    classes: dict[int, str],
    *,
    folds: tuple[int | str, ...] = ("all",),
    checkpoint: str = "checkpoint_final.pth",
    kind: str = "panoptic",
    min_volume_nm3: float = 0.0,
    trusted: bool = False,
) -> LabelGrid:
    """Segment by a trained nnU-Net v2 model, in this process and on the processor.

    nnU-Net resamples, normalises and tiles by itself, as it was trained to.

    Parameters
    ----------
    grid : VoxelGrid
    model : path-like or predictor
        Folder with plans.json, dataset.json and fold_*; or an nnUNetPredictor. Its checkpoints hold
        pickled objects, which can run code when they are opened: use models you trust.
    classes : dict
        From the model's numbers to roles.
    folds, checkpoint
        As nnU-Net names them.
    kind, min_volume_nm3
        As for :func:`read_case`.
    trusted : bool
        Say that the files of a folder may run code.

    Returns
    -------
    LabelGrid

    Raises
    ------
    UnsafeFileError
        For a folder that is not said to be trusted.
    ConfigError
        When nnunetv2 or torch is not installed.
    ReadError
        When the folder is not that of a model.
    """
    predictor: Any = model
    if isinstance(model, str | Path):
        predictor = _predictor(Path(model), folds, checkpoint, trusted)
    image = np.asarray(grid.data, dtype=np.float32)[None]
    spacing = (grid.voxel_nm / 1000.0).tolist()
    found = predictor.predict_single_npy_array(image, {"spacing": spacing}, None, None, False)
    labels = np.asarray(found[0] if isinstance(found, tuple) else found)
    if labels.shape != grid.shape:
        raise GeometryError(
            f"nnunet_segment: labels of shape {grid.shape} were expected, found {labels.shape}."
        )
    return convert_labels(
        from_classes(grid.with_data(labels), classes), kind, min_volume_nm3=min_volume_nm3
    )


def _predictor(folder: Path, folds: tuple[int | str, ...], checkpoint: str, trusted: bool) -> Any:
    if not (folder / "plans.json").is_file():
        raise ReadError(f"{folder}: a folder of nnU-Net v2 with plans.json was expected.")
    need_trust(folder, trusted, "its checkpoints are pickles")
    torch = need("torch", "torch", "nnunet_segment")
    module = need("nnunetv2.inference.predict_from_raw_data", "nnunet", "nnunet_segment")
    predictor = module.nnUNetPredictor(
        device=torch.device("cpu"), perform_everything_on_device=False, verbose=False,
        allow_tqdm=False,
    )  # fmt: skip
    predictor.initialize_from_trained_model_folder(str(folder), folds, checkpoint)
    return predictor


def _storable(data: npt.NDArray[Any]) -> npt.NDArray[Any]:
    values = np.asarray(data)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    whole = values.size and (values == np.floor(values)).all()
    if whole and values.min() >= 0 and values.max() <= 65535:
        return values.astype(np.uint16)
    return values.astype(np.float32)


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _read(path: Path) -> npt.NDArray[Any]:
    try:
        check_tiff_pages(path)
        if path.suffix == ".npy":
            data = np.load(path, allow_pickle=False)
        else:
            data = need("tifffile", "volumes", "read_case").imread(path)
    except NanospineError:
        raise
    except Exception as error:  # what a damaged file makes of two libraries
        raise ReadError(f"{path.name}: cannot be read ({str(error)[:120]}).") from error
    # One plane is written without its axis by some tools.
    return np.asarray(data)[None] if np.ndim(data) == 2 else np.asarray(data)
