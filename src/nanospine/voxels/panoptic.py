"""Semantic, instance and panoptic labels, and the ways between them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.errors import ConfigError, GeometryError
from nanospine.voxels.grid import LabelGrid, VoxelGrid
from nanospine.voxels.segment import label_grid
from nanospine.voxels.segmenters.common import (
    BACKGROUND,
    DENDRITE,
    OBJECT,
    SHAFT,
    SPINE,
    BoolArray,
    LabelArray,
    Segmentation,
    components,
    distance_nm,
)

__all__ = ["KINDS", "convert_labels", "from_classes", "split_spines"]

KINDS = ("semantic", "instance", "panoptic")


def convert_labels(
    labels: LabelGrid,
    to: str = "panoptic",
    *,
    min_volume_nm3: float = 0.0,
    split_nm: float | None = None,
) -> LabelGrid:
    """Give labels as semantic, instance or panoptic ones.

    Parameters
    ----------
    labels : LabelGrid
        With roles background, shaft, spine, dendrite or object. `dendrite` counts as shaft.
    to : str
        `semantic`: 0 background, 1 shaft, 2 spine. `instance`: 0 everything else, 1 and more the
        spines (or objects). `panoptic`: 0 background, 1 shaft, 2 and more the spines.
    min_volume_nm3 : float
        Spines below become shaft (background in instance labels); ``table.attrs["notes"]`` counts
        them.
    split_nm : float, optional
        A spine label in loose parts, such as the class "spine" of semantic labels, falls into its
        connected components; with a length, these are divided where they are waisted too, at depths
        that differ by more than this.

    Returns
    -------
    LabelGrid

    Examples
    --------
    >>> data = np.zeros((4, 4, 9), dtype=int)
    >>> data[:2], data[2:, :, 1:3], data[2:, :, 5:8] = 1, 2, 2
    >>> semantic = from_classes(VoxelGrid(data, 50.0, (0, 0, 0)), {1: "shaft", 2: "spine"})
    >>> convert_labels(semantic, "panoptic").roles
    {0: 'background', 1: 'shaft', 2: 'spine', 3: 'spine'}
    >>> int(convert_labels(semantic, "instance").labels.max())
    2
    """
    if to not in KINDS:
        raise ConfigError(f"convert_labels: {', '.join(KINDS)} was expected, found {to!r}.")
    data = np.asarray(labels.labels)
    role = _role_array(labels)
    shaft = np.isin(role[data], (1,))
    things = np.where(role[data] == 2, data, 0)
    spines, dropped = split_spines(
        things, labels.voxel_nm, min_volume_nm3=min_volume_nm3, split_nm=split_nm
    )
    # Only where there was a shaft to fall back to do small spines become shaft.
    rest = (things > 0) & (spines == 0)
    shaft |= rest & bool(shaft.any())
    notes = (f"{dropped} spines below {min_volume_nm3:g} nm3 are none",) if dropped else ()
    thing = OBJECT if OBJECT in labels.roles.values() and not shaft.any() else SPINE
    numbers = range(1, int(spines.max(initial=0)) + 1)
    if to == "semantic":
        result = np.where(spines > 0, 2, shaft).astype(np.int32)
        roles = {0: BACKGROUND, 1: SHAFT, 2: SPINE}
    elif to == "instance":
        result, roles = spines, {0: BACKGROUND} | dict.fromkeys(numbers, thing)
    else:
        result = np.where(spines > 0, spines + 1, shaft).astype(np.int32)
        roles = {0: BACKGROUND, 1: SHAFT} | {n + 1: thing for n in numbers}
    grid = VoxelGrid(result, labels.voxel_nm, labels.origin_nm)
    return label_grid(grid, Segmentation(result, roles, notes))


def from_classes(grid: VoxelGrid, classes: dict[int, str]) -> LabelGrid:
    """Give the class numbers of another tool their roles.

    Parameters
    ----------
    grid : VoxelGrid
        Of class numbers.
    classes : dict
        From number to role: background, shaft, spine, dendrite or object. Several numbers may have
        one role, such as spine, spine core, membrane and neck of RESPAN, whose models number the
        classes in four different ways: there is no default. Numbers that are not named are refused.

    Raises
    ------
    ConfigError
        When a role is unknown.
    GeometryError
        When the grid holds a number that is not in `classes`, or values that are not whole.

    Examples
    --------
    >>> grid = VoxelGrid(np.array([[[0, 1, 2]]]), 50.0, (0, 0, 0))
    >>> from_classes(grid, {1: "spine", 2: "dendrite"}).labels.tolist()
    [[[0, 2, 1]]]
    """
    known = {BACKGROUND: 0, SHAFT: 1, DENDRITE: 1, SPINE: 2, OBJECT: 2}
    wrong = sorted({role for role in classes.values() if role not in known})
    if wrong:
        raise ConfigError(
            f"from_classes: roles of {', '.join(known)} were expected, found {', '.join(wrong)}."
        )
    values = np.asarray(grid.data)
    present = np.unique(values)
    named = {0: BACKGROUND} | classes
    stray = [value for value in present.tolist() if value not in named]
    if stray:
        raise GeometryError(
            f"from_classes: the grid holds {', '.join(f'{v:g}' for v in stray[:5])}, which "
            f"classes does not name; it names {', '.join(str(k) for k in sorted(named))}."
        )
    result = np.zeros(values.shape, dtype=np.int32)
    for number, role in named.items():
        result[values == number] = known[role]
    roles = {0: BACKGROUND, 1: SHAFT, 2: SPINE}
    roles = {
        number: role for number, role in roles.items() if number == 0 or (result == number).any()
    }
    return label_grid(grid, Segmentation(result, roles))


def split_spines(
    things: npt.NDArray[np.integer],
    voxel_nm: npt.NDArray[np.float64],
    *,
    min_volume_nm3: float = 0.0,
    split_nm: float | None = None,
) -> tuple[LabelArray, int]:
    """Number the connected parts of labels anew, from large to small; count those dropped.

    Parameters
    ----------
    things : ndarray of int, shape (nz, ny, nx)
        Labels stay apart from each other; each falls into its connected parts (26 neighbours).
    voxel_nm : ndarray, shape (3,)
    min_volume_nm3 : float
        Smaller parts are dropped.
    split_nm : float, optional
        Parts are divided at waists: two maxima of the depth are two things when the depth between
        them is lower than both by more than this.
    """
    result = np.zeros(things.shape, dtype=np.int32)
    for number, box in enumerate(ndimage.find_objects(things.astype(np.int64)), start=1):
        if box is None:
            continue
        own = things[box] == number
        found = components(own) if split_nm is None else _divided(own, voxel_nm, split_nm)
        inside = result[box]
        inside[own] = found[own] + int(result.max())
    volume = np.bincount(result.ravel()) * float(np.prod(voxel_nm))
    order = 1 + np.argsort(-volume[1:], kind="stable")
    keep = order[volume[order] >= max(min_volume_nm3, 1e-9)]
    rank = np.zeros(len(volume), dtype=np.int32)
    rank[keep] = np.arange(1, len(keep) + 1)
    return rank[result], int((volume[1:] > 0).sum()) - len(keep)


def _divided(own: BoolArray, voxel_nm: npt.NDArray[np.float64], split_nm: float) -> LabelArray:
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    padded = np.pad(own, 1)
    depth = distance_nm(padded, voxel_nm)
    seeds, _ = ndimage.label(h_maxima(depth, split_nm), np.ones((3, 3, 3)))
    # A part too shallow for any maximum of that height still is a part.
    parts = components(padded)
    empty = [n for n in range(1, int(parts.max()) + 1) if not seeds[parts == n].any()]
    for part in empty:
        seeds[parts == part] = seeds.max() + 1
    flooded = watershed(-depth, seeds, mask=padded, connectivity=3)
    return np.asarray(flooded[1:-1, 1:-1, 1:-1], dtype=np.int32)


def _role_array(labels: LabelGrid) -> npt.NDArray[np.int8]:
    """From label to 0 background, 1 shaft, 2 thing."""
    kind = {BACKGROUND: 0, SHAFT: 1, DENDRITE: 1, SPINE: 2, OBJECT: 2}
    most = int(np.max(labels.labels, initial=0))
    table = np.full(most + 1, 2, dtype=np.int8)
    table[0] = 0
    for number, role in labels.roles.items():
        if 0 < number <= most:
            table[number] = kind.get(role, 2)
    return table
