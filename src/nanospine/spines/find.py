"""From an envelope and its localizations to measured, typed spines."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh

from nanospine.core.errors import GeometryError
from nanospine.core.history import entry
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.spines.assign import assign_localizations
from nanospine.spines.detached import (
    FARTHEST_NM,
    Surroundings,
    beside_gaps,
    heads_apart,
    reattached,
)
from nanospine.spines.dissect import MIN_SHAFT_NM, MIN_SHAFT_WIDTHS, Dissection, dissect
from nanospine.spines.levels import Cutter, part_of, vertex_areas_nm2
from nanospine.spines.measure import MeasureOptions, PointsBySpine, border_of_field, measure_spine
from nanospine.spines.model import BACKGROUND, COLUMNS, SHAFT, Shaft, Spine, Spines
from nanospine.spines.touching import with_touching_notes
from nanospine.spines.walls import membrane_of
from nanospine.surface.enveloped import Envelope

__all__ = ["find_spines"]

FloatArray = npt.NDArray[np.float64]


def find_spines(
    envelope: Envelope | trimesh.Trimesh,
    locs: Localizations | None = None,
    *,
    label: str | None = None,
    precision_nm: npt.ArrayLike | None = None,
    preset: str = "nanospine",
    min_length_nm: float = 300.0,
    base_nm: float = 80.0,
    join_nm: float = 150.0,
    linker_nm: float = 0.0,
    seed: int = 0,
    progress: Progress | None = None,
) -> Spines:
    """Find the shaft and the spines of a dendrite, measure them, and name their types.

    The shaft is the longest thick path through each body of the envelope; spines are what stands
    out of a smooth model of its surface; each is followed along its centreline from the base to
    the tip. Neck diameters are measured on the localizations themselves, with the precision of
    each taken out (:func:`nanospine.measure_neck`), never on the width of the envelope.

    Parameters
    ----------
    envelope : Envelope or trimesh.Trimesh
        From :func:`nanospine.envelope`, or any closed mesh in nanometres (EM, STED).
    locs : Localizations, optional
        The localizations that the envelope was made from. Without them the necks are measured on
        cross-sections of the mesh, and the table says so.
    label : {"membrane", "filled"}, optional
        What is labelled; taken from the envelope when it knows.
    precision_nm : array_like, optional
        Localization precision, where the table has none: one number, (3,), (n,) or (n, 3).
    preset : str
        Rule set of :func:`nanospine.classify` that names the types.
    min_length_nm : float
        Protrusions shorter than this are roughness of the shaft.
    base_nm : float
        Height above the shaft's surface at which the surface of a spine begins.
    join_nm : float
        Two tips whose surfaces meet closer to the base than this are two spines; farther from
        it they are heads of one branched spine.
    linker_nm : float
        Length of the linker between what is labelled and its fluorophore, taken out of the neck
        diameters as the localization precision is (:func:`nanospine.measure_neck`).
    seed : int
        For the bootstrap of the intervals.
    progress : callable, optional
        Called with a stage and the fraction done.

    Returns
    -------
    Spines
        With an empty table and a note that says why, when there is no shaft or no spine.

    Raises
    ------
    GeometryError
        When the mesh has no faces, or parameters are not positive lengths.

    Examples
    --------
    >>> import nanospine as ns
    >>> shape = ns.simulate.spine("mushroom", seed=1)
    >>> spines = ns.find_spines(shape.mesh)
    >>> len(spines), spines.table["type"][0]
    (1, 'mushroom')
    """
    mesh = envelope if isinstance(envelope, trimesh.Trimesh) else envelope.mesh
    for name, value in (("min_length_nm", min_length_nm), ("base_nm", base_nm)):
        if not value > 0:
            raise GeometryError(f"find_spines: {name} must be a positive length, found {value}.")
    if len(mesh.faces) == 0:
        raise GeometryError("find_spines: the envelope has no faces.")
    used_label = label or str(getattr(envelope, "label", "membrane"))
    precision = None if locs is None else _precision(locs, precision_nm)
    membrane = None
    if locs is not None and used_label == "membrane":
        membrane = membrane_of(mesh, locs.xyz_nm, precision)
    found = dissect(
        mesh, membrane, min_length_nm=min_length_nm, base_nm=base_nm, join_nm=join_nm,
        progress=progress,
    )  # fmt: skip
    alpha_nm = float(getattr(envelope, "alpha_nm", np.nan))
    found = _with_heads_apart(found, mesh, locs, precision, alpha_nm, min_length_nm)
    notes = _notes(found)
    localization_spine = given = None
    if locs is not None:
        report(progress, "assigning localizations", 0.0)
        localization_spine = assign_localizations(locs.xyz_nm, mesh, found.vertex_spine, precision)
        ways = [(gap, n) for n, p in enumerate(found.protrusions) for gap in p.gaps]
        localization_spine = beside_gaps(locs.xyz_nm, localization_spine, ways)
        given = PointsBySpine(locs, precision, localization_spine)
    options = MeasureOptions(used_label, preset, base_nm, seed, linker_nm, border_of_field(locs))
    surface, area = Cutter(mesh), vertex_areas_nm2(mesh)
    spines: list[Spine] = []
    for number, protrusion in enumerate(found.protrusions):
        report(progress, "measuring spines", number / max(len(found.protrusions), 1))
        spines.append(measure_spine(number, surface, area, protrusion, found.axes, given, options))
    report(progress, "measuring spines", 1.0)
    spines = with_touching_notes(mesh, found.vertex_spine, spines)
    step = entry(
        "find_spines",
        {"label": used_label, "preset": preset, "min_length_nm": min_length_nm,
         "base_nm": base_nm, "join_nm": join_nm, "linker_nm": linker_nm, "seed": seed},
        n_after=len(spines),
        notes=notes,
    )  # fmt: skip
    before = getattr(envelope, "history", ())
    return Spines(
        table=_table(spines),
        spines=tuple(spines),
        shaft=_shaft(mesh, found),
        envelope=envelope,
        vertex_spine=found.vertex_spine,
        localization_spine=localization_spine,
        notes=notes,
        history=(*before, step),
    )


def _with_heads_apart(
    found: Dissection,
    mesh: trimesh.Trimesh,
    locs: Localizations | None,
    precision: FloatArray | None,
    alpha_nm: float,
    min_length_nm: float,
) -> Dissection:
    """Join bodies that are heads without a visible neck."""
    bodies = heads_apart(mesh, found.loose) if found.axes else []
    if not bodies:
        return found
    free = None
    if locs is not None:
        xyz = locs.xyz_nm
        corners = np.asarray(mesh.vertices)[np.concatenate(bodies)]
        low, high = corners.min(axis=0) - FARTHEST_NM, corners.max(axis=0) + FARTHEST_NM
        near = ((xyz >= low) & (xyz <= high)).all(axis=1)
        nothing = np.zeros(len(mesh.vertices), dtype=np.int64)
        known = None if precision is None else precision[near]
        away = assign_localizations(xyz[near], mesh, nothing, known) == BACKGROUND
        free = xyz[near][away]
    protrusions = reattached(
        mesh, found.protrusions, found.vertex_spine, bodies, Surroundings(free, alpha_nm),
        min_length_nm=min_length_nm,
    )  # fmt: skip
    vertex_spine = found.vertex_spine.copy()
    for number, protrusion in enumerate(protrusions):
        vertex_spine[protrusion.vertices] = number
    return replace(found, protrusions=protrusions, vertex_spine=vertex_spine)


def _notes(found: Dissection) -> tuple[str, ...]:
    """What a person should know of the whole: no shaft, no spines, what was left out."""
    notes = []
    if not found.axes:
        largest = f"; the largest body is {found.rejected[0]}" if found.rejected else ""
        notes.append(
            "No shaft with spines was found: no body of the envelope is long and even enough to "
            f"be a dendrite (at least {MIN_SHAFT_NM:.0f} nm and {MIN_SHAFT_WIDTHS:g} times its "
            f"width){largest}."
        )
    elif not found.protrusions:
        notes.append("A shaft was found, but no shaft with spines: nothing stands out of it.")
    if found.continued:
        one = found.continued == 1
        notes.append(
            f"{found.continued} {'process continues' if one else 'processes continue'} the "
            "shaft beyond its end: not counted as spines."
        )
    if found.squeezed > 1:
        notes.append(
            f"The envelope is drawn out {found.squeezed:.1f} times along one direction, as by the "
            "blur of a microscope in depth: spines were told from the shaft on the shape without "
            "that, and are measured as they are."
        )
    joined = sum(len(protrusion.gaps) for protrusion in found.protrusions)
    if joined:
        notes.append(
            f"{joined} {'body lies' if joined == 1 else 'bodies lie'} apart and "
            f"{'was' if joined == 1 else 'were'} joined to the dendrite as spines whose neck is "
            "too sparse to see (gap_nm in the table)."
        )
    left = len(found.rejected) - joined
    if found.axes and left:
        notes.append(
            f"{left} other {'body is' if left == 1 else 'bodies are'} too small "
            "or too round to be a dendrite and left out."
        )
    return tuple(notes)


def _precision(locs: Localizations, precision_nm: npt.ArrayLike | None) -> FloatArray | None:
    """Localization precision (n, 3) from the argument, or else from the table."""
    if precision_nm is None:
        return locs.precision_nm
    values = np.asarray(precision_nm, dtype=np.float64)
    n = len(locs)
    if values.shape == (n,) and n != 3:
        values = values[:, None]
    try:
        return np.broadcast_to(values, (n, 3)).copy()
    except ValueError:
        raise GeometryError(
            f"find_spines: precision_nm must be one number, (3,), ({n},) or ({n}, 3), found "
            f"{values.shape}."
        ) from None


def _shaft(mesh: trimesh.Trimesh, found: Dissection) -> Shaft | None:
    if not found.axes:
        return None
    part, _ = part_of(mesh, (found.vertex_spine[mesh.faces] == SHAFT).any(axis=1))
    return Shaft(
        axes_nm=tuple(axis.points_nm for axis in found.axes),
        radii_nm=tuple(axis.mean_radius_nm for axis in found.axes),
        mesh=part,
        sections=found.axes,
    )


def _table(spines: list[Spine]) -> pd.DataFrame:
    if spines:
        return pd.DataFrame([spine.row for spine in spines], columns=list(COLUMNS))
    text = {"type", "note"}
    integer = {"spine", "n_heads", "n_localizations", "dendrite"}
    kinds = {
        name: "object" if name in text else "int64" if name in integer else "float64"
        for name in COLUMNS
    }
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
