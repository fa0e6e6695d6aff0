"""What an envelope is made from: positions and their precision, checked; and its options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import GeometryError
from nanospine.core.history import HistoryEntry
from nanospine.core.region import Box

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations

__all__ = ["METHODS", "Label", "Method", "Options", "is_flat", "noise_nm", "positions",
           "precisions"]  # fmt: skip

FloatArray = npt.NDArray[np.float64]

Label = Literal["membrane", "filled"]
Method = Literal["carve", "convex-hull", "density", "poisson", "ball-pivoting"]
METHODS = ("carve", "convex-hull", "density", "poisson", "ball-pivoting")


@dataclass(frozen=True)
class Options:
    """What :func:`nanospine.envelope` is asked for; refused where it means nothing."""

    alpha_nm: float | Literal["auto"]
    label: Label
    method: Method
    border: Box | Literal["auto"] | None
    min_component_fraction: float
    components: Literal["large", "all"]
    fit: bool
    edge_nm: float | None
    adapt: bool = True

    def __post_init__(self) -> None:
        _check(self.alpha_nm, self.label, self.method, self.min_component_fraction,
               self.components, self.edge_nm)  # fmt: skip

    @property
    def least(self) -> float:
        """Part of the largest body's volume below which a body is left out."""
        return 0.0 if self.components == "all" else self.min_component_fraction

    @property
    def adapts(self) -> bool:
        """Whether the sphere follows the label."""
        return self.adapt and self.alpha_nm == "auto" and self.method != "convex-hull"

    def to_dict(self) -> dict[str, Any]:
        """Give the options as the history keeps them."""
        border = self.border.to_dict() if isinstance(self.border, Box) else self.border
        return {**vars(self), "border": border}


def _check(
    alpha_nm: Any, label: str, method: str, fraction: float, components: str, edge_nm: Any
) -> None:
    """Refuse options that mean nothing, and say what is expected."""
    if label not in ("membrane", "filled"):
        raise GeometryError(
            f"envelope: label must be 'membrane' (the label is on the membrane) or 'filled' "
            f"(it fills the volume), found {label!r}."
        )
    if method not in METHODS:
        raise GeometryError(
            f"envelope: method must be one of {', '.join(METHODS)}, found {method!r}."
        )
    if method in ("poisson", "ball-pivoting") and label == "filled":
        raise GeometryError(
            f"envelope: method {method!r} goes through the localizations, which lie inside of a "
            "'filled' label; take 'carve' or 'density'."
        )
    if components not in ("large", "all"):
        raise GeometryError(f"envelope: components must be 'large' or 'all', found {components!r}.")
    if alpha_nm != "auto" and not (np.isreal(alpha_nm) and alpha_nm > 0):
        raise GeometryError(
            f"envelope: alpha_nm must be 'auto' or a positive number of nanometres, "
            f"found {alpha_nm!r}."
        )
    if edge_nm is not None and not (np.isreal(edge_nm) and np.isfinite(edge_nm) and edge_nm > 0):
        raise GeometryError(
            f"envelope: edge_nm must be None or a positive number of nanometres, found {edge_nm!r}."
        )
    if not 0 <= fraction <= 1:
        raise GeometryError(
            f"envelope: min_component_fraction must lie between 0 and 1, found {fraction!r}."
        )


def is_flat(locs_or_xyz: Localizations | npt.ArrayLike) -> bool:
    """Tell whether the data are 2-D by what they say, not by their values."""
    dimension = getattr(locs_or_xyz, "dimension", None)
    if dimension is not None:
        return bool(dimension == 2)
    points = np.asarray(locs_or_xyz)
    return points.ndim == 2 and points.shape[1] == 2


def positions(
    locs_or_xyz: Localizations | npt.ArrayLike,
) -> tuple[FloatArray, tuple[HistoryEntry, ...]]:
    """Give positions (n, 3) and the history that they bring."""
    xyz = getattr(locs_or_xyz, "xyz_nm", locs_or_xyz)
    points = np.asarray(xyz, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] not in (2, 3):
        raise GeometryError(
            f"envelope: points of shape (n, 3) were expected, found {points.shape}."
        )
    if len(points) > 3 and (points == points[0]).all():
        raise GeometryError(
            f"envelope: at least 4 different points were expected, found {len(points)} times the "
            "same one; are the columns of the positions the right ones?"
        )
    if len(points) > 3 and np.ptp(points[:, 2]) == 0:
        raise GeometryError(
            f"envelope: all {len(points)} points have z = {points[0, 2]:g} nm: these data are 2-D; "
            "give (n, 2) coordinates for a polygon."
        )
    return points, tuple(getattr(locs_or_xyz, "history", ()))


def precisions(
    locs_or_xyz: Localizations | npt.ArrayLike, given: npt.ArrayLike | None, n: int
) -> FloatArray | None:
    """Give the precision of each localization along each axis, shape (n, 3); None when unknown.

    What is given goes before what the localizations bring. Those of which it is not known (NaN)
    get the axis' median; an axis of which nothing is known, the root mean square of the others.
    """
    if given is None:
        found = getattr(locs_or_xyz, "precision_nm", None)
        if found is None or n == 0:
            return None
        sigma = np.array(found, dtype=np.float64)
    else:
        sigma = np.asarray(given, dtype=np.float64)
        if sigma.shape not in ((), (3,), (n,), (n, 3)) or not (sigma[~np.isnan(sigma)] >= 0).all():
            raise GeometryError(
                f"envelope: precision_nm must be one number, three, ({n},) or ({n}, 3) numbers of "
                f"nanometres, not negative; found shape {sigma.shape}."
            )
        sigma = np.array(np.broadcast_to(sigma[:, None] if sigma.shape == (n,) != (3,) else sigma,
                                         (n, 3)))  # fmt: skip
    sigma[~np.isfinite(sigma)] = np.nan
    known = ~np.isnan(sigma).all(axis=0)
    if not known.any():
        return None
    for axis in np.flatnonzero(known):
        column = sigma[:, axis]
        column[np.isnan(column)] = np.nanmedian(column)
    sigma[:, ~known] = np.sqrt((sigma[:, known] ** 2).mean(axis=1, keepdims=True))
    return sigma


def noise_nm(sigma: FloatArray | None) -> float | None:
    """Root mean square of the median precisions of the axes; None without any."""
    if sigma is None:
        return None
    return float(np.sqrt(np.mean(np.median(sigma, axis=0) ** 2)))
