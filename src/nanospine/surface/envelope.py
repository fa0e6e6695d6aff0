"""The watertight surface around localizations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.history import entry
from nanospine.core.progress import Progress, report
from nanospine.core.region import Box
from nanospine.surface.border import border_of, lids
from nanospine.surface.carving import SWEEPS, Carved, carved
from nanospine.surface.envelope_input import (
    Label,
    Method,
    Options,
    is_flat,
    noise_nm,
    positions,
    precisions,
)
from nanospine.surface.enveloped import Envelope
from nanospine.surface.filling import fit_to_filling
from nanospine.surface.fit import fit_to_membrane, retreated, smooth, subdivide, untangled
from nanospine.surface.intersections import self_intersections
from nanospine.surface.order import along_curve
from nanospine.surface.outline import outline
from nanospine.surface.parts import part_of

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations

__all__ = ["Envelope", "envelope"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Offsets are averaged over this many alphas: alpha is the largest gap of the label, and a patch
# of that size holds some twenty molecules.
_FIT_LENGTH = 0.8
# Part of the vertices that may go back from the fit without a word.
_MUCH = 0.01
# A surface around a membrane that is on average thinner than this many alphas is a sheet.
_SHEET = 1.6
# Surfaces with longer edges than this are subdivided before the fit: a neck of 100 nm must not
# be a prism of six sides.
_COARSE_NM = 45.0


def envelope(
    locs_or_xyz: Localizations | npt.ArrayLike,
    *,
    alpha_nm: float | Literal["auto"] = "auto",
    label: Label = "membrane",
    method: Method = "carve",
    precision_nm: npt.ArrayLike | None = None,
    border: Box | Literal["auto"] | None = "auto",
    min_component_fraction: float = 0.002,
    components: Literal["large", "all"] = "large",
    fit: bool = True,
    edge_nm: float | None = None,
    adapt: bool = True,
    progress: Progress | None = None,
) -> Envelope:
    """Wrap localizations in a watertight surface; 2-D ones in a polygon.

    Parameters
    ----------
    locs_or_xyz : Localizations or array_like, shape (n, 3)
        Positions in nanometres. 2-D data give an :class:`nanospine.Outline`
        (:func:`nanospine.outline`, which takes alpha, label and fraction as they are given here).
    alpha_nm : float or "auto"
        Radius of the sphere that rolls in from outside and carves away what it reaches: gaps in
        the label narrower than twice this stay closed. "auto" reads it from the gaps of the data
        (:func:`nanospine.surface.choice.choose_alpha` states the rule).
    label : {"membrane", "filled"}
        Whether the localizations lie on the membrane or fill the volume.
    method : {"carve", "density", "poisson", "ball-pivoting", "convex-hull"}
        "carve": the sphere carves Delaunay tetrahedra, the surface is smoothed and fitted.
        "density": voxels of equal density (:mod:`nanospine.surface.density`), the kernel as wide
        as alpha. "poisson" and "ball-pivoting" (need Open3D): through the localizations, with
        normals from the carved surface (:mod:`nanospine.surface.open3d_surfaces`).
    precision_nm : float or array_like, shape (3,), (n,) or (n, 3), optional
        Standard deviation of the localizations (along each axis); without it, what the
        localizations bring. The fit uses it, each localization's own: see
        :func:`nanospine.surface.fit.fit_to_membrane`.
    border : Box, "auto" or None
        Where a membrane runs out of the field of view, a flat lid closes it (membrane labels,
        :func:`nanospine.surface.border.lids`). "auto" takes the region of the localizations, if it
        is a box; when nobody said one, their bounding box, where they fill it evenly up to the
        face. None lays no lids.
    min_component_fraction : float
        Separate bodies below this fraction of the largest body's volume, and smaller than a ball
        of 270 nm (a spine's head may lie apart), are left out and counted in the notes.
    components : {"large", "all"}
        "all" keeps every body.
    fit : bool
        True smooths the carved surface; for membrane labels it then moves it from the outermost
        localizations, where noise puts it, to their local middle (:func:`fit_to_membrane`), for
        filled ones to where the density falls to nothing but for the noise
        (:func:`nanospine.surface.filling.fit_to_filling`).
        False gives the carved tetrahedra's own boundary, whose vertices are localizations.
    edge_nm : float, optional
        Even triangles with edges of about this length (:func:`nanospine.remesh`).
    adapt : bool
        With an alpha of "auto": localizations apart from all label take no part in the carving
        (:func:`nanospine.surface.unevenness.scattered`), the sphere is smaller where the
        label is denser than usual (:func:`nanospine.surface.unevenness.label_scale`; alpha is that
        of the usual spacing), and holes in a membrane's label that are wider than an even label
        leaves are closed (:func:`nanospine.surface.holes.close_holes`). False: one sphere, all
        localizations.
    progress : callable, optional
        Told the stage and its fraction.

    Raises
    ------
    GeometryError
        Points on one plane; an alpha at which nothing is left.
    TooFewPointsError
        Fewer than 4 different points.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> ball = rng.normal(size=(4000, 3))
    >>> ball *= 300 / np.linalg.norm(ball, axis=1, keepdims=True)
    >>> wrapped = envelope(ball)
    >>> wrapped.mesh.is_volume, round(wrapped.volume_nm3 / (4 / 3 * np.pi * 300**3), 2)
    (True, 1.0)
    """
    options = Options(
        alpha_nm, label, method, border, min_component_fraction, components, fit, edge_nm, adapt
    )
    if is_flat(locs_or_xyz):
        flat: Any = outline(
            locs_or_xyz, alpha_nm=alpha_nm if method == "carve" else np.inf, label=label,
            min_component_fraction=options.least,
        )  # fmt: skip
        return flat
    points, before = positions(locs_or_xyz)
    sigma = precisions(locs_or_xyz, precision_nm, len(points))
    notes: list[str] = []
    n_before = len(points)
    if label == "membrane" and method != "convex-hull":
        points, sigma = _closed(points, sigma, border_of(locs_or_xyz, border), notes)
    found = carved(points, noise_nm(sigma), options, notes, progress)
    report(progress, "surface", 0.8)
    mesh, std = _surface(found, points, sigma, options, notes, progress)
    if edge_nm is not None:
        from nanospine.surface.remesh import remeshed

        mesh, std = remeshed(mesh, std, edge_nm)
    cuts = self_intersections(mesh)
    if len(cuts):
        notes.append(
            f"{len(np.unique(cuts))} of the {len(mesh.faces)} faces cut another face of the "
            "surface (.self_intersections names the pairs)."
        )
    report(progress, "surface", 1.0)
    arguments = options.to_dict()
    arguments["precision_nm"] = None if precision_nm is None else _short(precision_nm)
    step = entry("envelope", arguments, n_before=n_before, notes=notes)
    return Envelope(
        mesh, found.alpha_nm, label, method, found.curve, tuple(notes), (*before, step),
        found.around, cuts, std,
    )  # fmt: skip


def _surface(
    found: Carved,
    points: FloatArray,
    sigma: FloatArray | None,
    options: Options,
    notes: list[str],
    progress: Progress | None,
) -> tuple[trimesh.Trimesh, FloatArray]:
    """Make the surface of the method from the carved one; and the deviation of its vertices."""
    vertices, faces = found.vertices, found.faces
    std = start = np.empty(0)
    if options.fit and options.method not in ("convex-hull", "density"):
        report(progress, "fit", 0.8)
        vertices, faces, std, start = _fitted(
            vertices, faces, points, found.label, found.alpha_nm, sigma
        )
    if options.method in ("density", "poisson", "ball-pivoting"):
        from nanospine.surface.other_methods import other_surface

        start = np.empty(0)
        vertices, faces = other_surface(
            options.method, points, vertices, faces, found.alpha_nm, found.label,
            noise_nm(sigma) or 0.0, options.least, notes,
        )  # fmt: skip
    mesh = _uncut(vertices, faces, start, notes)
    if found.label == "membrane" and options.method == "carve" and options.alpha_nm == "auto":
        notes += _sheet(mesh, found.alpha_nm)
    return mesh, std if len(std) == len(vertices) else np.full(len(vertices), np.nan)


def _uncut(
    vertices: FloatArray, faces: IntArray, carved: FloatArray, notes: list[str]
) -> trimesh.Trimesh:
    """Mend where the surface cuts itself, if need be by going back to where it was carved."""
    mesh = untangled(trimesh.Trimesh(vertices, faces, process=False))
    if len(carved) != len(vertices):
        return mesh
    mesh, share = retreated(mesh, carved)
    if share > _MUCH:
        notes.append(
            f"At {share:.1%} of the vertices the fitted surface would cut itself and went back "
            "towards where it was carved: too large there by about two precisions."
        )
    return mesh


def _sheet(mesh: trimesh.Trimesh, alpha_nm: float) -> list[str]:
    """Say that the surface goes along both sides of a membrane, where it seems to."""
    thickness = 2.0 * float(mesh.volume / mesh.area)
    if thickness > _SHEET * alpha_nm:
        return []
    return [
        f"The surface is a sheet, {thickness:.0f} nm thick on average at alpha {alpha_nm:.0f} nm, "
        "not the hull of a hollow: the membrane is open somewhere. Does a field of view or a "
        "region of interest that is no box cut the dendrite? Keep the localizations of a box: "
        "ns.keep_box, nanospine filter --step 'keep_box [2000,0] [9000,5000]'. Or is the label "
        "'filled'?"
    ]


def _closed(
    points: FloatArray, sigma: FloatArray | None, box: Box | None, notes: list[str]
) -> tuple[FloatArray, FloatArray | None]:
    """Add the lids at the border, as localizations of usual precision."""
    if box is None or points.shape[0] == 0 or not np.isfinite(points).all():
        return points, sigma
    added, count = lids(points, box)
    if count == 0:
        return points, sigma
    notes.append(
        f"The label is cut open by the border of its region{' (assumed)' if box.assumed else ''} "
        f"in {count} {'places' if count > 1 else 'place'}; flat lids close it there "
        "(border=None: none)."
    )
    if sigma is not None:
        usual = np.broadcast_to(np.median(sigma, axis=0), added.shape)
        sigma = np.concatenate([sigma, usual])
    return np.concatenate([points, added]), sigma


def _fitted(
    vertices: FloatArray,
    faces: IntArray,
    points: FloatArray,
    label: Label,
    alpha_nm: float,
    sigma: FloatArray | None,
) -> tuple[FloatArray, IntArray, FloatArray, FloatArray]:
    """Smooth, and move to where the label ends: vertices, faces, deviations, carved vertices."""
    carved = vertices
    vertices = smooth(vertices, faces, SWEEPS)
    if label == "membrane" and _edge_nm(vertices, faces) > _COARSE_NM:
        carved, _ = subdivide(carved, faces)
        vertices, faces = subdivide(vertices, faces)
    vertices, faces, carved = _in_order(vertices, faces, carved)
    variance = None if sigma is None else sigma**2
    length = _FIT_LENGTH * alpha_nm
    if label == "filled":
        fitted, std = fit_to_filling(
            vertices, faces, points, variance_nm2=variance, length_nm=length
        )
    else:
        fitted, std = fit_to_membrane(
            vertices, faces, points, variance_nm2=variance, length_nm=length,
            reach_nm=2.0 * alpha_nm, sweeps=SWEEPS,
        )  # fmt: skip
    return fitted, faces, std, carved


def _edge_nm(vertices: FloatArray, faces: IntArray) -> float:
    """Length of the usual edge."""
    first, second = vertices[faces[:, 0]], vertices[faces[:, 1]]
    return float(np.median(np.linalg.norm(first - second, axis=1)))


def _in_order(
    vertices: FloatArray, faces: IntArray, carved: FloatArray
) -> tuple[FloatArray, IntArray, FloatArray]:
    """Number vertices and faces body by body and along a curve in each.

    Neighbours are near each other in memory so, too: what goes through all edges of a large
    field, as the fit does some thousand times, takes half the time.
    """
    order, _ = along_curve(vertices)
    body = part_of(faces, len(vertices))
    order = order[np.argsort(body[order], kind="stable")]
    number = np.empty(len(order), dtype=np.int64)
    number[order] = np.arange(len(order))
    faces = number[faces]
    faces = faces[np.argsort(faces.min(axis=1), kind="stable")]
    return vertices[order], faces, carved[order]


def _short(precision_nm: npt.ArrayLike) -> Any:
    """Precision as it is kept in the history: numbers, or how many there were."""
    values = np.asarray(precision_nm, dtype=np.float64)
    return values.tolist() if values.size <= 3 else f"{values.shape} values"
