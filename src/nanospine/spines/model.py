"""What `find_spines` gives: the shaft, the spines, and one table of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.history import HistoryEntry

if TYPE_CHECKING:
    import trimesh

    from nanospine.spines.neck_profile import NeckProfile
    from nanospine.spines.protrusion import Gap
    from nanospine.spines.shaft import ShaftAxis
    from nanospine.surface.enveloped import Envelope

__all__ = ["BACKGROUND", "COLUMNS", "SHAFT", "Shaft", "Spine", "Spines"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

#: Labels of vertices and localizations that belong to no spine.
SHAFT = -1
BACKGROUND = -2

#: Columns of the table of spines and what they mean; lengths in nm, areas nm², volumes nm³.
COLUMNS: dict[str, str] = {
    "spine": "number of the spine, from 0",
    "type": "stubby, thin, mushroom, filopodium or branched",
    "length_nm": "along the centreline from the shaft's surface to the tip",
    "neck_diameter_nm": "diameter at the constriction, localization precision taken out",
    "neck_diameter_low_nm": "lower end of its 95 % interval",
    "neck_diameter_high_nm": "upper end of its 95 % interval",
    "neck_mean_diameter_nm": "mean of the profile between the shaft and the head",
    "neck_length_nm": "along the centreline from the shaft to the head",
    "head_diameter_nm": "largest diameter of the (larger) head",
    "head_volume_nm3": "volume beyond the border between neck and head (of the larger head)",
    "volume_nm3": "volume of the whole spine",
    "area_nm2": "surface of the spine's part of the envelope, without its base",
    "n_heads": "number of heads",
    "gap_nm": "way over gaps in the envelope, where a neck is too sparse to see; 0 without one",
    "n_localizations": "localizations that belong to the spine",
    "base_x_nm": "where the centreline leaves the shaft's surface",
    "base_y_nm": "",
    "base_z_nm": "",
    "tip_x_nm": "farthest point of the spine",
    "tip_y_nm": "",
    "tip_z_nm": "",
    "shaft_position_nm": "position of the base along its stretch of shaft",
    "dendrite": "number of the stretch of shaft that the spine stands on",
    "quality": "part of the centreline on which the diameter could be measured, 0 to 1",
    "note": "what a person should know of this spine, such as why its neck was not measured",
}


@dataclass(frozen=True, eq=False)
class Shaft:
    """The dendrite without its spines.

    Attributes
    ----------
    axes_nm : tuple of ndarray, shape (k, 3)
        Smooth axis of each unbranched stretch.
    radii_nm : tuple of ndarray, shape (k,)
        Radius along each axis (of the circle with the area of the cross-section), spines left out.
    mesh : trimesh.Trimesh
        The shaft's part of the envelope; open where spines stood.
    sections : tuple of ShaftAxis
        The stretches with their radius by direction, for measuring spines anew.
    """

    axes_nm: tuple[FloatArray, ...]
    radii_nm: tuple[FloatArray, ...]
    mesh: trimesh.Trimesh
    sections: tuple[ShaftAxis, ...] = field(default=(), repr=False)

    @property
    def length_nm(self) -> float:
        """Length of all stretches together."""
        return float(sum(self.lengths_nm))

    @property
    def lengths_nm(self) -> tuple[float, ...]:
        """Length of each stretch."""
        return tuple(
            float(np.linalg.norm(np.diff(axis, axis=0), axis=1).sum()) for axis in self.axes_nm
        )


@dataclass(frozen=True, eq=False)
class Spine:
    """One spine: its centreline from base to tip, its neck profile, its part of the envelope.

    `gaps` are the ways over which a head that lies apart was joined; mostly none.
    """

    id: int
    type: str
    centreline_nm: FloatArray
    neck: NeckProfile
    mesh: trimesh.Trimesh
    n_heads: int
    row: dict[str, Any] = field(repr=False)
    gaps: tuple[Gap, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class Spines:
    """The spines of an envelope, in one table and one by one.

    Attributes
    ----------
    table : pandas.DataFrame
        One row per spine; the columns are described in :data:`COLUMNS`.
    spines : tuple of Spine
        In the order of the table.
    shaft : Shaft or None
        None when nothing in the envelope is a shaft; `notes` says why.
    envelope : Envelope or trimesh.Trimesh
        What the spines were found on.
    vertex_spine : ndarray of int, shape (n_vertices,)
        Spine of each vertex of the envelope's mesh, -1 for the shaft, -2 for other parts.
    localization_spine : ndarray of int, shape (n,), or None
        Spine of each localization, -1 on the shaft, -2 away from all; None without localizations.
    notes : tuple of str
        What a person should know of the whole result.
    """

    table: pd.DataFrame
    spines: tuple[Spine, ...]
    shaft: Shaft | None
    envelope: Envelope | trimesh.Trimesh = field(repr=False)
    vertex_spine: IntArray = field(repr=False)
    localization_spine: IntArray | None = field(repr=False)
    notes: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.spines)

    def to_frame(self) -> pd.DataFrame:
        """Give the table as a copy that may be changed."""
        return self.table.copy()

    @property
    def density_per_um(self) -> float:
        """Spines per micrometre of shaft; NaN without a shaft."""
        if self.shaft is None or self.shaft.length_nm == 0:
            return float("nan")
        return len(self) / (self.shaft.length_nm / 1000.0)

    def density_table(self) -> pd.DataFrame:
        """Spines per micrometre of shaft, per type and stretch of dendrite.

        Returns
        -------
        pandas.DataFrame
            A row per stretch of dendrite (-1: all together) and type ("all": of any type):
            `dendrite`, `type`, `spines`, `length_um`, `per_um`.
        """
        shaft = self.shaft
        lengths = {} if shaft is None else dict(enumerate(shaft.lengths_nm))
        rows = []
        for dendrite, length in ((-1, sum(lengths.values())), *lengths.items()):
            mine = self.table if dendrite < 0 else self.table[self.table["dendrite"] == dendrite]
            kinds = ["all", *sorted(set(self.table["type"]))]
            for kind in kinds:
                count = len(mine) if kind == "all" else int((mine["type"] == kind).sum())
                um = length / 1000.0
                per_um = count / um if um > 0 else float("nan")
                rows.append((dendrite, kind, count, um, per_um))
        return pd.DataFrame(rows, columns=["dendrite", "type", "spines", "length_um", "per_um"])
