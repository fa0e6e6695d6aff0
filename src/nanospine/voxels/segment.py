"""Segmenting voxels: one call for every method, one contract for every segmenter."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
import pandas as pd

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.deep_spec import DeepModel, ModelSpec
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.segmenters.common import Segmentation

__all__ = [
    "Segmenter",
    "SegmenterInfo",
    "label_grid",
    "register_segmenter",
    "run_segmenter",
    "segment",
    "segmenters",
]


@runtime_checkable
class Segmenter(Protocol):
    """What turns voxels into labels: any callable with this signature.

    Lengths among the options are in nanometres and end in `_nm`, volumes in `_nm3`. The same
    grid and options give the same labels. Labels are int32, 0 is background, and `roles` says what
    each label is: background, shaft, spine, dendrite (shaft and spines undivided) or object.
    """

    def __call__(self, grid: VoxelGrid, /, **options: Any) -> Segmentation:
        """Segment a grid."""
        ...


@dataclass(frozen=True)
class SegmenterInfo:
    """What is known of a segmenter without loading it.

    Attributes
    ----------
    name, title : str
    gives : str
        mask (label 1 is dendrite), parts (1 is shaft, 2 and more are spines) or objects.
    source : str
        The publication or program that the method comes from.
    differs : str
        What is done differently here.
    module, function : str
        Where it is.
    """

    name: str
    title: str
    gives: str
    source: str
    differs: str
    module: str = ""
    function: str = ""

    def options(self) -> dict[str, Any]:
        """Give the options with their defaults."""
        return _options(_load(self.name))


_ADDED: dict[str, tuple[SegmenterInfo, Callable[..., Segmentation]]] = {}


def segment(
    grid: VoxelGrid, method: str | Callable[..., Any] | DeepModel = "otsu", **options: Any
) -> LabelGrid:
    """Segment voxels.

    Parameters
    ----------
    grid : VoxelGrid
        Intensities, counts, or a boolean mask (which methods that divide a mask into shaft and
        spines take as it is; intensities they binarize first, by the option `binarize`).
    method : str or callable
        A name from :func:`segmenters`, a deep model (:func:`nanospine.open_model` and the adapters;
        the options are those of `deep_segment`), or any callable that takes the grid and the
        options and gives a `Segmentation`, a `LabelGrid` or an array of labels.
    **options
        Of the method; ``segmenters()`` lists them. Lengths are in nm.

    Returns
    -------
    LabelGrid
        On the same voxels: `labels`, `roles` and a `table` with one row for each label (voxels,
        volume in nm³, centroid in nm). `table.attrs["notes"]` says what was dropped.

    Raises
    ------
    ConfigError
        When the method or an option is unknown.
    GeometryError
        When the grid does not allow it, such as when nothing is above the threshold.

    Examples
    --------
    >>> data = np.zeros((20, 20, 20))
    >>> data[5:15, 5:15, 5:15] = 7.0
    >>> labels = segment(VoxelGrid(data, 50.0, (0, 0, 0)), "otsu", scale="all")
    >>> labels.roles
    {0: 'background', 1: 'dendrite'}
    >>> int((labels.labels == 1).sum())
    1000
    """
    if isinstance(getattr(method, "spec", None), ModelSpec):
        from nanospine.voxels.deep import deep_segment

        return deep_segment(cast("DeepModel", method), grid, **options)
    if callable(method):
        run = cast("Callable[..., Any]", method)
        result = _coerced(run(grid, **options), grid)
    else:
        result = run_segmenter(grid, method, options)
    return label_grid(grid, result)


def run_segmenter(grid: VoxelGrid, method: str, options: dict[str, Any]) -> Segmentation:
    """Run a segmenter by name and give its bare result; see :func:`segment`."""
    function = _load(method)
    known = _options(function)
    wrong = [name for name in options if name not in known]
    if wrong and "**" not in known:
        raise ConfigError(
            f"segment: {method} has no option {', '.join(sorted(wrong))}; "
            f"its options: {', '.join(known) or 'none'}."
        )
    return _coerced(function(grid, **options), grid)


def segmenters() -> list[SegmenterInfo]:
    """List the segmenters that :func:`segment` knows by name.

    Examples
    --------
    >>> [info.gives for info in segmenters() if info.name == "otsu"]
    ['mask']
    """
    return [info for info, _ in _ADDED.values()] + [*_known().values()]


def register_segmenter(
    name: str,
    function: Callable[..., Segmentation],
    *,
    title: str = "",
    gives: str = "parts",
    source: str = "",
    differs: str = "",
) -> None:
    """Make a segmenter of your own known to :func:`segment` by name.

    Raises
    ------
    ConfigError
        When the name is taken by a built-in method.

    Examples
    --------
    >>> from nanospine.voxels.segmenters.common import foreground
    >>> register_segmenter("above-3", lambda grid: foreground(grid.data > 3), gives="mask")
    >>> grid = VoxelGrid(np.arange(8.0).reshape(2, 2, 2), 10.0, (0, 0, 0))
    >>> int(segment(grid, "above-3").labels.sum())
    4
    """
    if name in _known():
        raise ConfigError(f"register_segmenter: {name!r} is built in; choose another name.")
    info = SegmenterInfo(name, title or name, gives, source, differs)
    _ADDED[name] = (info, function)


def _known() -> dict[str, SegmenterInfo]:
    from nanospine.voxels.segmenters.catalogue import CATALOGUE

    return CATALOGUE


def _load(name: str) -> Callable[..., Segmentation]:
    if name in _ADDED:
        return _ADDED[name][1]
    known = _known()
    if name not in known:
        raise ConfigError(
            f"segment: method {name!r} is not known; methods: {', '.join([*known, *_ADDED])}."
        )
    function: Callable[..., Segmentation] = getattr(
        importlib.import_module(known[name].module), known[name].function
    )
    return function


def _options(function: Callable[..., Any]) -> dict[str, Any]:
    """Options of a segmenter with their defaults; `**` when it takes any."""
    found = {}
    # The first is the grid, whatever its name
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            missing = parameter.default is parameter.empty
            found[parameter.name] = None if missing else parameter.default
        elif parameter.kind is parameter.VAR_KEYWORD:
            found["**"] = None
    return found


def _coerced(result: Any, grid: VoxelGrid) -> Segmentation:
    """Check a result, whatever a callable gave, and make it a Segmentation."""
    if isinstance(result, LabelGrid):
        result = Segmentation(np.asarray(result.labels), dict(result.roles))
    if isinstance(result, np.ndarray):
        present = [int(value) for value in np.unique(result)]
        roles = {value: "object" if value else "background" for value in present}
        result = Segmentation(result, roles)
    if not isinstance(result, Segmentation):
        raise GeometryError(
            "segment: a Segmentation, a LabelGrid or an array of labels was expected from the "
            f"segmenter, found {type(result).__name__}."
        )
    labels = np.asarray(result.labels)
    if labels.shape != grid.shape:
        raise GeometryError(
            f"segment: labels of shape {grid.shape} were expected from the segmenter, "
            f"found {labels.shape}."
        )
    if not (labels == np.floor(labels)).all() or labels.min(initial=0) < 0:
        raise GeometryError("segment: labels must be whole numbers of 0 or more.")
    unnamed = {int(v): "object" for v in np.unique(labels) if int(v) and int(v) not in result.roles}
    roles = {0: "background"} | dict(result.roles) | unnamed
    return Segmentation(labels.astype(np.int32), dict(sorted(roles.items())), result.notes)


def label_grid(grid: VoxelGrid, result: Segmentation) -> LabelGrid:
    """Give a segmentation its place and its table."""
    table = _table(grid, result)
    table.attrs["notes"] = list(result.notes)
    return LabelGrid(
        labels=result.labels,
        voxel_nm=grid.voxel_nm,
        origin_nm=grid.origin_nm,
        roles=result.roles,
        table=table,
    )


def _table(grid: VoxelGrid, result: Segmentation) -> pd.DataFrame:
    """One row for each label but the background."""
    flat = result.labels.ravel()
    count = np.bincount(flat, minlength=max(result.roles) + 1)
    sums = [
        np.bincount(flat, np.broadcast_to(line, grid.shape).ravel(), minlength=len(count))
        for line in np.ix_(*[np.arange(n, dtype=np.float64) for n in grid.shape])
    ]
    numbers = np.array([label for label in result.roles if label], dtype=np.int64)
    voxels = count[numbers]
    with np.errstate(invalid="ignore"):
        centre = np.stack([total[numbers] / voxels for total in sums], axis=1)
    xyz = grid.to_xyz_nm(centre)
    return pd.DataFrame(
        {
            "label": numbers,
            "role": [result.roles[int(label)] for label in numbers],
            "n_voxels": voxels,
            "volume_nm3": voxels * float(np.prod(grid.voxel_nm)),
            "x_nm": xyz[:, 0],
            "y_nm": xyz[:, 1],
            "z_nm": xyz[:, 2],
        }
    )
