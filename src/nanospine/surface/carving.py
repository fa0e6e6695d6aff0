"""Triangulate localizations and carve away what a sphere reaches from outside."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError
from nanospine.core.progress import Progress, report
from nanospine.surface.alpha import CarvingDepth, carving_depth
from nanospine.surface.choice import choose_alpha, least_alpha_nm
from nanospine.surface.delaunay import Delaunay, delaunay
from nanospine.surface.envelope_input import Label, Options
from nanospine.surface.feet import Feet
from nanospine.surface.fit import smooth
from nanospine.surface.mesh import boundary_surface, inside_components
from nanospine.surface.persistence import persistence
from nanospine.surface.unevenness import label_scale, scattered, usual_voxel_nm

__all__ = ["SWEEPS", "Carved", "carved"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Smoothing sweeps of the carved surface, and after each round of the fit.
SWEEPS = 10
# Diameter over alpha of the thinnest tube of a filled label that carving leaves whole.
_RESOLVED = 2.0
# Ball of 270 nm: a body as large may be the head of a spine, however long its dendrite is.
_HEAD_NM3 = 1e7
# Handles that are gone where alpha is this many times larger are chance.
_STEADY = 1.2
# Alpha over the least that the noise allows, up to which the noise has chosen it.
_BY_NOISE = 1.001
# Localizations from which an unknown noise is read.
_ENOUGH = 20_000


class Carved(NamedTuple):
    """The boundary of the tetrahedra that carving leaves, and how alpha came about."""

    vertices: FloatArray
    faces: IntArray
    alpha_nm: float
    #: "filled" also for a membrane without a hollow: there is none to fit to.
    label: Label
    curve: pd.DataFrame
    around: pd.DataFrame


def carved(
    points: FloatArray,
    noise: float | None,
    options: Options,
    notes: list[str],
    progress: Progress | None,
) -> Carved:
    """Triangulate and carve; the triangulation's memory is free again when this returns."""
    report(progress, "triangulation", 0.0)
    points, scale = _evened(points, noise, options, notes)
    triangulation = _triangulation(points)
    report(progress, "carving", 0.6)
    depth, alpha_nm, label, heard = _depth(triangulation, scale, noise, options)
    vertices, faces, said = _bodies(triangulation, depth, alpha_nm, options)
    if noise is None and options.alpha_nm == "auto" and label == "membrane":
        noise = _spread_nm(vertices, faces, points)
        if least_alpha_nm(noise) > alpha_nm:
            if scale is not None:
                scale = _scale(points, noise, options)
            depth, alpha_nm, label, heard = _depth(triangulation, scale, noise, options)
            vertices, faces, said = _bodies(triangulation, depth, alpha_nm, options)
    around = _around(depth, alpha_nm, options)
    steadier = _steadier_alpha_nm(around, alpha_nm, label, noise, options)
    if steadier > alpha_nm:
        heard.append(
            f"alpha is {steadier:.3g} nm instead of {alpha_nm:.3g}: the smaller sphere left "
            "handles that are gone at the larger one."
        )
        alpha_nm = steadier
        vertices, faces, said = _bodies(triangulation, depth, alpha_nm, options)
        around = _around(depth, alpha_nm, options)
    notes += [*heard, *said]
    curve = pd.DataFrame(dict(zip(("alpha_nm", "volume_nm3"), depth.curve(), strict=True)))
    return Carved(vertices, faces, alpha_nm, label, curve, around)


def _around(depth: CarvingDepth, alpha_nm: float, options: Options) -> pd.DataFrame:
    """What carving gives at alphas around the one chosen; nothing for the convex hull."""
    if not np.isfinite(alpha_nm):
        return pd.DataFrame()
    return persistence(depth, alpha_nm, min_component_fraction=options.least)


def _steadier_alpha_nm(
    around: pd.DataFrame, alpha_nm: float, label: Label, noise: float | None, options: Options
) -> float:
    """Give the alpha, up to a fifth larger, that leaves the fewest handles; the smallest of them.

    A sphere as small as the noise allows finds its way under the outermost localizations of a
    dense membrane here or there, and between those of a filled label. Where the gaps of a membrane
    decide on alpha, tunnels are those of the specimen: there it stays as it is.
    """
    chosen_for_noise = alpha_nm <= _BY_NOISE * least_alpha_nm(noise or 0.0)
    # Of a convex hull, and of a set too entangled to follow, nothing is known at larger alphas.
    known = not around.empty and around["alpha_nm"].iloc[-1] >= alpha_nm * (1 - 1e-9)
    if options.alpha_nm != "auto" or not known or not (label == "filled" or chosen_for_noise):
        return alpha_nm
    larger = around[around["alpha_nm"].between(alpha_nm * (1 - 1e-9), _STEADY * alpha_nm)]
    same = larger[larger["n_components"] == larger["n_components"].iloc[0]]
    best = same["genus"].to_numpy().argmin()
    return float(same["alpha_nm"].iloc[best]) if best else alpha_nm


def _evened(
    points: FloatArray, noise: float | None, options: Options, notes: list[str]
) -> tuple[FloatArray, FloatArray | None]:
    """Leave out what is no label; give the scale of the label at what is left, if it is uneven."""
    if not options.adapts or not np.isfinite(points).all():
        return points, None
    usual_nm = usual_voxel_nm(points) if len(points) else None
    apart = scattered(points, noise or 0.0, usual_nm)
    if apart.any():
        usual_nm = None
        notes.append(
            f"{int(apart.sum())} of {len(points)} localizations lie apart from all label and took "
            "no part in the carving."
        )
        points = points[~apart]
    return points, _scale(points, noise or 0.0, options, usual_nm)


def _scale(
    points: FloatArray, noise: float, options: Options, usual_nm: float | None = None
) -> FloatArray | None:
    """Give the scale of the label at each point; None where it is even."""
    scale = label_scale(points, options.label, noise, usual_nm)
    return None if (scale == 1).all() else scale


def _depth(
    triangulation: Delaunay,
    scale: FloatArray | None,
    noise: float | None,
    options: Options,
) -> tuple[CarvingDepth, float, Label, list[str]]:
    """How deep spheres get, the alpha, what label it is, and what to say."""
    label, notes = options.label, list[str]()
    close = options.adapts and label == "membrane"
    depth = carving_depth(triangulation, scale=scale, close=close)
    if options.method == "convex-hull":
        return depth, np.inf, label, notes
    if options.alpha_nm != "auto":
        return depth, float(options.alpha_nm), label, notes
    alpha_nm, note = choose_alpha(depth, label=label, noise_nm=noise)
    least = least_alpha_nm(noise or 0.0) / alpha_nm
    if scale is not None and scale.min() < least:  # nowhere does the sphere follow the noise
        depth = carving_depth(triangulation, scale=np.maximum(scale, least), close=close)
        alpha_nm, note = choose_alpha(depth, label=label, noise_nm=noise)
    depth = depth.sealed(alpha_nm)
    if depth.hole_nm:
        notes.append(
            f"Holes in the label up to {2 * depth.hole_nm:.0f} nm across, wider than an even label "
            "leaves, were closed (adapt=False: none)."
        )
    if note:
        notes.append(note)
        label = "filled"
    return depth, alpha_nm, label, notes


def _triangulation(points: FloatArray) -> Delaunay:
    """Triangulate, with errors that name the envelope."""
    try:
        return delaunay(points)
    except GeometryError as error:
        raise type(error)(str(error).replace("delaunay:", "envelope:", 1)) from error


def _spread_nm(vertices: FloatArray, faces: IntArray, points: FloatArray) -> float:
    """Noise of a membrane's localizations, from how far they lie apart along its normal."""
    some = points[:: max(1, len(points) // _ENOUGH)]
    even = smooth(vertices, faces, SWEEPS)
    feet = Feet.over(np.ascontiguousarray(some), even, faces)
    feet.find(even)
    return 1.4826 * float(np.median(np.abs(feet.signed_nm - np.median(feet.signed_nm))))


def _bodies(
    triangulation: Delaunay, depth: CarvingDepth, alpha_nm: float, options: Options
) -> tuple[FloatArray, IntArray, list[str]]:
    """Carve at alpha, keep the bodies that are large enough: their surface, and what to say."""
    notes: list[str] = []
    inside = depth.inside(alpha_nm)
    if not depth.volume_nm3[inside].sum() > 0:
        smallest = float(depth.depth_nm.min())
        raise GeometryError(
            f"envelope: at alpha_nm = {alpha_nm:g} nothing is left; the points are too far apart "
            f"(the smallest alpha that leaves anything is {smallest:.3g} nm). Give a larger "
            "alpha_nm, or 'auto'."
        )
    body, volume = inside_components(triangulation.neighbors, inside, depth.volume_nm3)
    keep = (volume >= min(options.least * volume[0], _HEAD_NM3)) & (volume > 0)
    if options.label == "filled" and keep.sum() > 1:
        notes.append(
            f"{int(keep.sum())} separate bodies: at this density of localizations, what is thinner "
            f"than about {_RESOLVED * alpha_nm:.3g} nm is not resolved; they may hang together by "
            "necks that are thinner."
        )
    dropped = int((~keep & (volume > 0)).sum())
    if dropped:
        notes.append(
            f"{dropped} separate {'bodies' if dropped > 1 else 'body'} below {options.least:.3g} "
            "of the largest body's volume, and smaller than a spine's head, left out "
            f"({volume[~keep].sum() / volume.sum():.2%} of the volume)."
        )
    inside = (body >= 0) & keep[np.maximum(body, 0)]
    vertices, faces, _ = boundary_surface(
        triangulation.points_nm, triangulation.tetrahedra, triangulation.neighbors, inside
    )
    return vertices, faces, notes
