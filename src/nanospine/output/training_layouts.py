"""Simulated training data in the layouts of nnU-Net v2, DeepD3 and COCO."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import ConfigError, WriteError
from nanospine.core.files import atomic_path
from nanospine.output.training_deepd3 import write_d3set
from nanospine.output.training_volumes import VolumePair, simulated_pair

__all__ = ["LAYOUTS", "write_training_volumes"]

LAYOUTS = ("nnunet", "deepd3", "coco")

_CLASSES = {"background": 0, "dendrite": 1, "spine": 2}


def write_training_volumes(
    folder: str | os.PathLike[str],
    count: int = 20,
    *,
    layout: str = "nnunet",
    mode: str = "counts",
    voxel_nm: float | tuple[float, float, float] = 40.0,
    length_nm: float = 4000.0,
    seed: int = 0,
    dataset: int = 501,
    progress: Callable[[int], None] | None = None,
) -> pd.DataFrame:
    """Simulate dendrites and write them with their labels, for training a model.

    Parameters
    ----------
    folder : path-like
        Must not exist yet, or be empty.
    count : int
        Number of volumes; volume i is drawn from ``seed + i``.
    layout : str
        `nnunet`: a raw data set of nnU-Net v2, classes 1 dendrite (shaft) and 2 spine, TIFF with
        the spacing in µm beside. `deepd3`: ``training.d3set`` with stacks, dendrites and spines.
        `coco`: each plane as 16-bit PNG, ``annotations.json`` with run-length masks; an object
        keeps its `instance_id` through the planes of its volume.
    mode : str
        `counts` of localizations or `filled`; see :func:`simulated_pair`.
    voxel_nm : float or tuple of float
        Edge of the voxels, or z, y, x.
    length_nm : float
        Of each dendrite.
    seed : int
    dataset : int
        Number of the nnU-Net data set.
    progress : callable, optional
        Called with the number of volumes written.

    Returns
    -------
    pandas.DataFrame
        One row per volume: `case`, `seed`, `n_spines`, shape, `n_localizations`; also written as
        ``volumes.csv``.

    Raises
    ------
    ConfigError
        When the layout is unknown or `count` is below 1, or tifffile is missing.
    WriteError
        When the folder holds something.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     table = write_training_volumes(
    ...         Path(place) / "d", 1, layout="deepd3", voxel_nm=94, length_nm=1500
    ...     )
    >>> table.columns[:3].tolist()
    ['case', 'seed', 'n_spines']
    """
    if layout not in LAYOUTS:
        raise ConfigError(
            f"write_training_volumes: layout of {', '.join(LAYOUTS)} was expected, found "
            f"{layout!r}."
        )
    if count < 1:
        raise ConfigError(
            f"write_training_volumes: count of 1 or more was expected, found {count}."
        )
    target = Path(folder)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise WriteError(f"{target}: holds something; name a new or empty folder.")
    if not target.parent.is_dir():
        raise WriteError(f"{target}: the folder {target.parent} does not exist; make it first.")
    # Whole or not at all: written beside and renamed.
    staging = target.parent / f".{target.name}.part"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir()
    try:
        table = _write(staging, count, layout, mode, voxel_nm, length_nm, seed, dataset, progress)
        if target.exists():
            target.rmdir()
        staging.rename(target)
    except OSError as error:
        raise WriteError(f"{target}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return table


def _write(
    folder: Path,
    count: int,
    layout: str,
    mode: str,
    voxel_nm: float | tuple[float, float, float],
    length_nm: float,
    seed: int,
    dataset: int,
    progress: Callable[[int], None] | None,
) -> pd.DataFrame:
    kinds: dict[str, Callable[[Path, int], _Layout]] = {
        "nnunet": _NnUNet,
        "deepd3": _DeepD3,
        "coco": _Coco,
    }
    writer = kinds[layout](folder, dataset)
    rows = []
    for number in range(count):
        pair = simulated_pair(seed + number, mode=mode, length_nm=length_nm, voxel_nm=voxel_nm)
        case = f"dendrite_{number:04d}"
        writer.add(case, pair)
        nz, ny, nx = pair.image.shape
        rows.append(
            {
                "case": case,
                "seed": seed + number,
                "n_spines": len(np.unique(pair.labels.data[pair.labels.data > 1])),
                "nz": nz,
                "ny": ny,
                "nx": nx,
                "sum": float(pair.image.data.sum()),
            }
        )
        if progress is not None:
            progress(number + 1)
    writer.finish()
    table = pd.DataFrame(rows)
    table.to_csv(folder / "volumes.csv", index=False, lineterminator="\n")
    return table


def _semantic(pair: VolumePair) -> npt.NDArray[np.uint8]:
    return np.minimum(pair.labels.data, 2).astype(np.uint8)


def _counts(pair: VolumePair) -> npt.NDArray[np.uint16]:
    return np.minimum(pair.image.data, 65535).astype(np.uint16)


def _json(path: Path, content: Any) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


class _Layout(Protocol):
    def add(self, case: str, pair: VolumePair, /) -> None: ...

    def finish(self) -> None: ...


class _NnUNet:
    """Dataset501_nanospine: imagesTr, labelsTr, dataset.json."""

    def __init__(self, folder: Path, dataset: int) -> None:
        from nanospine.voxels.deep_adapters import need

        if not 1 <= dataset <= 999:
            raise ConfigError(f"dataset: a number of 1 to 999 was expected, found {dataset}.")
        self._tifffile = need("tifffile", "volumes", "write_training_volumes(layout='nnunet')")
        self._folder = folder / f"Dataset{dataset:03d}_nanospine"
        self._images, self._labels = self._folder / "imagesTr", self._folder / "labelsTr"
        self._images.mkdir(parents=True)
        self._labels.mkdir()
        self._count = 0

    def add(self, case: str, pair: VolumePair) -> None:
        um = (pair.image.voxel_nm / 1000.0).tolist()
        for folder, name, data in (
            (self._images, f"{case}_0000.tif", _counts(pair)),
            (self._labels, f"{case}.tif", _semantic(pair)),
        ):
            self._tifffile.imwrite(folder / name, data, photometric="minisblack")
            _json(folder / f"{case}.json", {"spacing": um})
        self._count += 1

    def finish(self) -> None:
        _json(
            self._folder / "dataset.json",
            {
                "channel_names": {"0": "localizations"},
                "labels": _CLASSES,
                "numTraining": self._count,
                "file_ending": ".tif",
                "overwrite_image_reader_writer": "Tiff3DIO",
                "description": "Dendrites simulated by nanospine",
                "licence": "the data are yours",
            },
        )


class _DeepD3:
    """training.d3set."""

    def __init__(self, folder: Path, _: int) -> None:
        self._folder = folder
        self._pairs: list[VolumePair] = []

    def add(self, _: str, pair: VolumePair) -> None:
        self._pairs.append(pair)

    def finish(self) -> None:
        write_d3set(
            self._folder / "training.d3set",
            [_counts(pair).astype(np.float32) for pair in self._pairs],
            [_semantic(pair) == 1 for pair in self._pairs],
            [_semantic(pair) == 2 for pair in self._pairs],
            [float(pair.image.voxel_nm[2]) for pair in self._pairs],
        )


class _Coco:
    """images/*.png and annotations.json."""

    def __init__(self, folder: Path, _: int) -> None:
        self._folder = folder
        (folder / "images").mkdir()
        self._images: list[dict[str, Any]] = []
        self._objects: list[dict[str, Any]] = []

    def add(self, case: str, pair: VolumePair) -> None:
        from PIL import Image

        counts, labels = _counts(pair), pair.labels.data
        for z in range(len(counts)):
            number = len(self._images) + 1
            name = f"{case}_z{z:04d}.png"
            Image.fromarray(counts[z]).save(self._folder / "images" / name)
            self._images.append(
                {
                    "id": number,
                    "file_name": name,
                    "height": counts.shape[1],
                    "width": counts.shape[2],
                    "volume": case,
                    "z": z,
                    "voxel_nm": pair.image.voxel_nm.tolist(),
                }
            )
            for label in np.unique(labels[z][labels[z] > 0]).tolist():
                self._objects.append(
                    _annotation(labels[z] == label, len(self._objects) + 1, number, label)
                )

    def finish(self) -> None:
        names = [name for name in _CLASSES if name != "background"]
        _json(
            self._folder / "annotations.json",
            {
                "info": {"description": "Dendrites simulated by nanospine"},
                "images": self._images,
                "annotations": self._objects,
                "categories": [{"id": _CLASSES[name], "name": name} for name in names],
            },
        )


def _annotation(mask: npt.NDArray[np.bool_], own: int, image: int, label: int) -> dict[str, Any]:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
    return {
        "id": own,
        "image_id": image,
        "category_id": min(label, 2),
        "instance_id": label,
        "segmentation": {"size": list(mask.shape), "counts": run_lengths(mask)},
        "area": int(mask.sum()),
        "bbox": [int(value) for value in box],
        # With run-length masks COCO has 1 here.
        "iscrowd": 1,
    }


def run_lengths(mask: npt.NDArray[np.bool_]) -> list[int]:
    """Give COCO's uncompressed run lengths: down the columns, beginning with those outside.

    Examples
    --------
    >>> run_lengths(np.array([[False, True], [True, True]]))
    [1, 3]
    """
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flat, [not flat[-1]]])))
    return [int(n) for n in np.diff(np.concatenate([[0], edges]))]
