"""What wrapping localizations gives: the surface and its figures."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh

from nanospine.core.history import HistoryEntry
from nanospine.surface.envelope_input import Label, Method
from nanospine.surface.persistence import stability

__all__ = ["Envelope"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Envelope:
    """A closed surface around localizations.

    Attributes
    ----------
    mesh : trimesh.Trimesh
        Watertight, 2-manifold, oriented outward; nanometres.
    alpha_nm : float
        Radius of the probe sphere that carved it; infinite for the convex hull.
    label : {"membrane", "filled"}
        What the localizations mark: the membrane, or the volume.
    method : str
        How it was made.
    alpha_curve : pandas.DataFrame
        Columns `alpha_nm` and `volume_nm3`: the volume that carving alone (all components, before
        smoothing) encloses at every alpha; a wide plateau means that alpha matters little.
    notes : tuple of str
        What a reader of the result must know: parts dropped, background removed.
    history : tuple of dict
        The history of the localizations and this step.
    persistence : pandas.DataFrame
        Columns `alpha_nm`, `volume_nm3`, `n_components`, `genus`: what carving gives at alphas
        from 0.8 to 1.56 times the one used (bodies that are large enough; empty for the convex
        hull). `to_frame` says between which alphas bodies and handles stay the same.
    self_intersections : ndarray of int, shape (k, 2)
        Faces of the mesh that cut each other
        (:func:`nanospine.surface.intersections.self_intersections`).
    vertex_std_nm : ndarray, shape (v,)
        Standard deviation of each vertex along its normal: how far chance has put the fitted
        surface from where it would be with ever more localizations of this kind. NaN where no fit
        was made. What alpha has closed or opened, and what is smaller than alpha, it does not know.
    """

    mesh: trimesh.Trimesh
    alpha_nm: float
    label: Label
    method: Method
    alpha_curve: pd.DataFrame = field(repr=False)
    notes: tuple[str, ...] = ()
    history: tuple[HistoryEntry, ...] = field(default=(), repr=False)
    persistence: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    self_intersections: IntArray = field(
        default_factory=lambda: np.empty((0, 2), dtype=np.int64), repr=False
    )
    vertex_std_nm: FloatArray = field(default_factory=lambda: np.empty(0), repr=False)

    @property
    def volume_nm3(self) -> float:
        """Enclosed volume."""
        return float(self.mesh.volume)

    @property
    def area_nm2(self) -> float:
        """Area of the surface."""
        return float(self.mesh.area)

    @property
    def n_components(self) -> int:
        """Number of separate bodies."""
        return int(self.mesh.body_count)

    @property
    def genus(self) -> int:
        """Number of handles of all bodies together."""
        return self.n_components - int(self.mesh.euler_number) // 2

    @property
    def median_vertex_std_nm(self) -> float:
        """Median of `vertex_std_nm`; NaN without a fit."""
        known = self.vertex_std_nm[np.isfinite(self.vertex_std_nm)]
        return float(np.median(known)) if len(known) else np.nan

    def to_frame(self) -> pd.DataFrame:
        """Give the figures of the envelope in one row."""
        row = {
            "label": self.label,
            "method": self.method,
            "alpha_nm": self.alpha_nm,
            "volume_nm3": self.volume_nm3,
            "area_nm2": self.area_nm2,
            "n_components": self.n_components,
            "n_vertices": len(self.mesh.vertices),
            "n_faces": len(self.mesh.faces),
            "genus": self.genus,
            "n_self_intersections": len(self.self_intersections),
            "median_vertex_std_nm": self.median_vertex_std_nm,
            **stability(self.persistence, self.alpha_nm),
        }
        return pd.DataFrame([row])
