"""The dendrite and its spines as SWC, which programs for neuron shapes and simulators read."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError, WriteError
from nanospine.core.files import atomic_path
from nanospine.spines.model import Shaft, Spine, Spines
from nanospine.version import __version__

__all__ = ["SWC_DENDRITE", "SWC_SPINE", "Tree", "add_shaft", "spine_nodes", "write_swc"]

FloatArray = npt.NDArray[np.float64]

#: Types of nodes: 3 is "(basal) dendrite" in every program, 5 and more are one's own.
SWC_DENDRITE = 3
SWC_SPINE = 7

_UM_PER_NM = 1e-3
_STEP_NM = 50.0
# Ends of stretches of shaft that meet at a branching lie closer than this many radii.
_JOIN_RADII = 2.0


@dataclass
class Tree:
    """Nodes in the order of the file; parents come before children."""

    kind: list[int] = field(default_factory=list)
    place: list[FloatArray] = field(default_factory=list)
    radius: list[float] = field(default_factory=list)
    parent: list[int] = field(default_factory=list)

    def add(self, kind: int, points: FloatArray, radii: FloatArray, parent: int) -> list[int]:
        """Add a chain of nodes behind `parent` (-1: a new root) and give their numbers."""
        numbers = []
        for point, radius in zip(points, radii, strict=True):
            self.kind.append(kind)
            self.place.append(point)
            self.radius.append(float(radius))
            self.parent.append(parent)
            parent = len(self.kind) - 1
            numbers.append(parent)
        return numbers


def write_swc(spines: Spines, path: str | os.PathLike[str]) -> None:
    """Write the axis of the dendrite, and the centreline of every spine, as one SWC file.

    Units are micrometres, as programs that read SWC expect; the origin is that of the
    localizations. Nodes of the shaft have type 3, those of spines type 7, the radius of spines is
    half the diameter of their profile (interpolated where it could not be measured; half the head
    where none could). Spines hang on the nearest node of the shaft. Pieces
    of dendrite that do not touch are trees of their own, which the header counts.

    Parameters
    ----------
    spines : Spines
        With a shaft.
    path : path-like
        Ends in .swc.

    Raises
    ------
    GeometryError
        When there is no shaft.
    WriteError
        For another suffix, or a place that cannot be written to.

    Notes
    -----
    Format: Cannon et al. 1998, J. Neurosci. Methods 84:49; http://www.neuronland.org. Note that
    a diameter, not a radius, is a frequent fault of other exporters; here it is the radius.
    """
    target = Path(path)
    if target.suffix.lower() != ".swc":
        raise WriteError(f"{target}: the dendrite is written as .swc; found {target.suffix!r}.")
    if spines.shaft is None:
        raise GeometryError(
            "swc: there is no shaft, so there is no dendrite to write. " + " ".join(spines.notes)
        )
    tree = Tree()
    add_shaft(tree, spines.shaft)
    shaft = np.array(tree.place)
    for spine in spines.spines:
        _add_spine(tree, spine, shaft)
    roots = tree.parent.count(-1)
    lines = [
        f"# nanospine {__version__}; unit micrometre; origin as in the localizations",
        f"# type {SWC_DENDRITE} dendrite, type {SWC_SPINE} spine; {len(spines)} spines, "
        f"{roots} separate {'tree' if roots == 1 else 'trees'}",
        "# id type x y z radius parent",
    ]
    for number, kind in enumerate(tree.kind):
        x, y, z = tree.place[number] * _UM_PER_NM
        parent = tree.parent[number] + 1 if tree.parent[number] >= 0 else -1
        radius = tree.radius[number] * _UM_PER_NM
        lines.append(f"{number + 1} {kind} {x:.6f} {y:.6f} {z:.6f} {radius:.6f} {parent}")
    with atomic_path(target) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def add_shaft(tree: Tree, shaft: Shaft) -> None:
    """Add the stretches: always the one that lies nearest to what is there, else a new tree."""
    waiting = {
        number: _thinned(axis, radii)
        for number, (axis, radii) in enumerate(zip(shaft.axes_nm, shaft.radii_nm, strict=True))
        if len(axis)
    }
    while waiting:
        number, backwards, parent = _nearest_stretch(tree, waiting)
        points, radii = waiting.pop(number)
        if backwards:
            points, radii = points[::-1], radii[::-1]
        tree.add(SWC_DENDRITE, points, radii, parent)


def _nearest_stretch(
    tree: Tree, waiting: dict[int, tuple[FloatArray, FloatArray]]
) -> tuple[int, bool, int]:
    """Give the next stretch, whether it is walked backwards, and the node it hangs on."""
    first = next(iter(waiting))
    if not tree.place:
        return first, False, -1
    there, radius = np.array(tree.place), np.array(tree.radius)
    best = (np.inf, first, False, -1)
    for number, (points, _) in waiting.items():
        for backwards in (False, True):
            far = np.linalg.norm(there - points[-1 if backwards else 0], axis=1)
            node = int(far.argmin())
            in_radii = far[node] / max(radius[node], 1e-9)
            if in_radii < best[0]:
                best = (in_radii, number, backwards, node)
    distance, number, backwards, node = best
    return (number, backwards, node) if distance <= _JOIN_RADII else (first, False, -1)


def _add_spine(tree: Tree, spine: Spine, shaft: FloatArray) -> None:
    points, radii = spine_nodes(spine)
    base = int(np.linalg.norm(shaft - spine.centreline_nm[0], axis=1).argmin())
    tree.add(SWC_SPINE, points, radii, base)


def spine_nodes(spine: Spine) -> tuple[FloatArray, FloatArray]:
    """Give points of a centreline about 50 nm apart, (k, 3) nm, and the radius at each, nm."""
    line = np.asarray(spine.centreline_nm, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    known = np.isfinite(spine.neck.diameter_nm) & (spine.neck.diameter_nm > 0)
    if known.any():
        diameter = np.interp(along, spine.neck.position_nm[known], spine.neck.diameter_nm[known])
    else:
        diameter = np.full(len(line), float(spine.row["head_diameter_nm"]))
    return _thinned(line, diameter / 2)


def _thinned(line: FloatArray, radii: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Take points about 50 nm apart, both ends among them."""
    line = np.asarray(line, dtype=np.float64)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    n = max(2, round(along[-1] / _STEP_NM) + 1)
    if len(line) <= 2 or along[-1] == 0:
        return line, radii
    at = np.linspace(0, along[-1], n)
    points = np.column_stack([np.interp(at, along, line[:, axis]) for axis in range(3)])
    return points, np.interp(at, along, radii)
