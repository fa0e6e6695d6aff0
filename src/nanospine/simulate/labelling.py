"""Localizations as a microscope would give them, drawn from a known shape."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError
from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.core.region import Box, MeshRegion
from nanospine.simulate.blinking import blink_frames

if TYPE_CHECKING:
    import trimesh

    from nanospine.simulate.shapes import Shape

__all__ = ["LocalizationTruth", "SimulatedLocalizations", "localize"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_MARGIN_NM = 300.0
# Spread of the precision of single localizations around the nominal one: photon numbers vary.
_PRECISION_SPREAD = 0.25
_GAP_RADIUS_NM = 120.0


@dataclass(frozen=True, eq=False)
class LocalizationTruth:
    """What is true of simulated localizations.

    Attributes
    ----------
    shape : DendriteTruth or None
        Truth of the shape they were drawn from; None for a plain mesh.
    true_xyz_nm : ndarray, shape (n, 3)
        Position of the fluorophore of each localization.
    is_background : ndarray of bool, shape (n,)
    n_molecules : int
        Fluorophores that were seen at least once.
    label : str
        membrane or filled.
    """

    shape: Any
    true_xyz_nm: FloatArray
    is_background: BoolArray
    n_molecules: int
    label: str


@dataclass(frozen=True, eq=False)
class SimulatedLocalizations(Localizations):
    """Localizations with the truth they were made from in `.truth`.

    The truth describes the rows as they were simulated; selecting rows keeps it as it was.
    """

    truth: Any = field(default=None, repr=False)


def localize(
    mesh_or_shape: trimesh.Trimesh | Shape,
    *,
    label: str = "membrane",
    density_per_um2: float = 1000.0,
    density_per_um3: float = 4000.0,
    precision_xy_nm: float = 10.0,
    precision_z_nm: float = 20.0,
    localizations_per_fluorophore: float = 3.0,
    background_fraction: float = 0.05,
    gaps: float = 0.0,
    linker_nm: float = 0.0,
    n_frames: int = 20_000,
    seed: int = 0,
) -> SimulatedLocalizations:
    """Label a shape with fluorophores and localize them.

    Fluorophores are a Poisson process on the surface (membrane) or inside (filled). Each is
    localized 1 + Poisson(k - 1) times in nearby frames; each localization is off by a Gaussian
    error of exactly the precision written beside it, which varies from one to the next.

    Parameters
    ----------
    mesh_or_shape : trimesh.Trimesh or Shape
        Nanometres. Filled labels need a closed mesh.
    label : {"membrane", "filled"}
    density_per_um2, density_per_um3 : float
        Fluorophores per area (membrane) or volume (filled).
    precision_xy_nm, precision_z_nm : float
        Median precision of a localization.
    localizations_per_fluorophore : float
        Mean number k >= 1 of localizations of a fluorophore.
    background_fraction : float
        Share of the localizations that lie anywhere in the field.
    gaps : float
        Share of the fluorophores lost in unlabelled patches of 120 nm radius.
    linker_nm : float
        Label sits this far off the surface, outward, with a random tilt.
    n_frames : int
        Frames of the measurement.
    seed : int
        Everything drawn is drawn from it.

    Returns
    -------
    SimulatedLocalizations
        Columns x_nm, y_nm, z_nm, frame, photons, precision_x_nm, precision_y_nm, precision_z_nm,
        molecule (-1 for background). The region is the simulated field.

    Raises
    ------
    GeometryError
        When a parameter makes no sense, or the mesh is not closed and the label is "filled".

    Examples
    --------
    >>> import trimesh
    >>> ball = trimesh.creation.icosphere(radius=500)
    >>> locs = localize(ball, density_per_um2=300, background_fraction=0, seed=1)
    >>> bool(abs(locs.truth.n_molecules / (300 * ball.area / 1e6) - 1) < 0.15)
    True
    """
    _check(label, precision_xy_nm, precision_z_nm, localizations_per_fluorophore,
           background_fraction, gaps)  # fmt: skip
    generator = np.random.default_rng(seed)
    mesh, shape = _mesh_of(mesh_or_shape)
    if label == "membrane":
        sites = _on_surface(mesh, shape, density_per_um2, linker_nm, generator)
    else:
        sites = _inside(mesh, shape, density_per_um3, generator)
    sites = _with_gaps(sites, gaps, generator)
    counts = 1 + generator.poisson(localizations_per_fluorophore - 1, len(sites))
    molecule = np.repeat(np.arange(len(sites)), counts)
    true = sites[molecule]
    low, high = np.asarray(mesh.bounds, dtype=np.float64)
    low, high = low - _MARGIN_NM, high + _MARGIN_NM
    n_background = generator.poisson(
        background_fraction / max(1 - background_fraction, 1e-9) * len(true)
    )
    true = np.vstack([true, generator.uniform(low, high, (n_background, 3))])
    molecule = np.concatenate([molecule, np.full(n_background, -1)])
    spread = np.exp(_PRECISION_SPREAD * generator.normal(size=len(true)))
    precision = spread[:, None] * [precision_xy_nm, precision_xy_nm, precision_z_nm]
    xyz = true + precision * generator.normal(size=true.shape)
    table = pd.DataFrame(
        {
            "x_nm": xyz[:, 0],
            "y_nm": xyz[:, 1],
            "z_nm": xyz[:, 2],
            "frame": blink_frames(molecule, n_frames, generator),
            # Precision falls with the square root of the photons.
            "photons": 1500.0 / spread**2,
            "precision_x_nm": precision[:, 0],
            "precision_y_nm": precision[:, 1],
            "precision_z_nm": precision[:, 2],
            "molecule": molecule,
        }
    )
    order = np.argsort(table["frame"].to_numpy(), kind="stable")
    truth = LocalizationTruth(
        getattr(mesh_or_shape, "truth", None), true[order], (molecule < 0)[order], len(sites), label
    )
    arguments = {
        "label": label, "density_per_um2": density_per_um2, "density_per_um3": density_per_um3,
        "precision_xy_nm": precision_xy_nm, "precision_z_nm": precision_z_nm,
        "localizations_per_fluorophore": localizations_per_fluorophore,
        "background_fraction": background_fraction, "gaps": gaps, "linker_nm": linker_nm,
        "seed": seed,
    }  # fmt: skip
    return SimulatedLocalizations(
        table.iloc[order].reset_index(drop=True),
        # A localization error may carry a point over the edge of the field it was drawn in.
        Box(np.minimum(low, xyz.min(axis=0, initial=np.inf)),
            np.maximum(high, xyz.max(axis=0, initial=-np.inf))),
        (entry("simulate.localize", arguments, n_after=len(table)),),
        truth,
    )  # fmt: skip


def _check(
    label: str, xy: float, z: float, per_fluorophore: float, background: float, gaps: float
) -> None:
    problems = []
    if label not in ("membrane", "filled"):
        problems.append(f'label must be "membrane" or "filled", found {label!r}')
    if not (xy >= 0 and z >= 0):
        problems.append(f"precisions must not be negative, found {xy} and {z}")
    if not per_fluorophore >= 1:
        problems.append(
            f"localizations_per_fluorophore must be at least 1, found {per_fluorophore}"
        )
    if not 0 <= background < 1:
        problems.append(f"background_fraction must be in [0, 1), found {background}")
    if not 0 <= gaps < 1:
        problems.append(f"gaps must be in [0, 1), found {gaps}")
    if problems:
        raise GeometryError("localize: " + "; ".join(problems) + ".")


def _mesh_of(mesh_or_shape: trimesh.Trimesh | Shape) -> tuple[trimesh.Trimesh, Shape | None]:
    import trimesh as trimesh_module

    if isinstance(mesh_or_shape, trimesh_module.Trimesh):
        return mesh_or_shape, None
    return mesh_or_shape.mesh, mesh_or_shape


def _on_surface(
    mesh: trimesh.Trimesh,
    shape: Shape | None,
    density_per_um2: float,
    linker_nm: float,
    generator: np.random.Generator,
) -> FloatArray:
    """A Poisson process on the triangles, moved onto the exact surface where it is known."""
    area = np.asarray(mesh.area_faces, dtype=np.float64)
    count = generator.poisson(density_per_um2 * area.sum() / 1e6)
    face = np.searchsorted(np.cumsum(area), generator.uniform(0, area.sum(), count))
    face = np.minimum(face, len(area) - 1)
    u, v = generator.random((2, count))
    folded = u + v > 1
    u[folded], v[folded] = 1 - u[folded], 1 - v[folded]
    corner = np.asarray(mesh.triangles, dtype=np.float64)[face]
    sites = (
        corner[:, 0]
        + u[:, None] * (corner[:, 1] - corner[:, 0])
        + v[:, None] * (corner[:, 2] - corner[:, 0])
    )
    normal = np.asarray(mesh.face_normals, dtype=np.float64)[face]
    if shape is not None and count:
        off = shape.signed_distance_nm(sites)
        sites = sites - np.clip(off, -5, 5)[:, None] * normal
    if linker_nm > 0:
        tilt = generator.normal(size=sites.shape)
        way = normal + 0.5 * tilt / np.linalg.norm(tilt, axis=1, keepdims=True)
        sites = sites + linker_nm * way / np.linalg.norm(way, axis=1, keepdims=True)
    return np.asarray(sites)


def _inside(
    mesh: trimesh.Trimesh,
    shape: Shape | None,
    density_per_um3: float,
    generator: np.random.Generator,
) -> FloatArray:
    """A Poisson process inside a shape or a closed mesh."""
    if shape is None:
        return MeshRegion(mesh).sample_nm(
            generator.poisson(density_per_um3 * float(mesh.volume) / 1e9), generator
        )
    low, high = shape.bounds_nm
    count = generator.poisson(density_per_um3 * float(np.prod(high - low)) / 1e9)
    points = generator.uniform(low, high, (count, 3))
    return points[shape.signed_distance_nm(points) < 0]


def _with_gaps(sites: FloatArray, gaps: float, generator: np.random.Generator) -> FloatArray:
    """Take away fluorophores in patches until the share `gaps` of them is gone."""
    if gaps == 0 or len(sites) == 0:
        return sites
    from scipy.spatial import cKDTree

    tree = cKDTree(sites)
    lost = np.zeros(len(sites), dtype=bool)
    for centre in generator.permutation(len(sites)):
        if lost.mean() >= gaps:
            break
        lost[tree.query_ball_point(sites[centre], _GAP_RADIUS_NM)] = True
    return sites[~lost]
