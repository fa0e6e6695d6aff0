"""Everything that a report shows, as plain JSON: made from a run, or read back from a report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import trimesh
from scipy import stats

from nanospine.core.colours import SHAFT_COLOUR, TYPE_COLOURS
from nanospine.core.history import plain
from nanospine.output.render_marks import ring_nm
from nanospine.output.report.continuum import type_fields
from nanospine.output.report.scene import mesh_for_web, points_for_web
from nanospine.spines.model import COLUMNS, Spines
from nanospine.version import __version__

if TYPE_CHECKING:
    import pandas as pd

    from nanospine.core.history import HistoryEntry
    from nanospine.core.localizations import Localizations
    from nanospine.surface.enveloped import Envelope

__all__ = ["SHOWN", "Content", "Reported", "content_of", "type_rows"]

#: What a report shows, as JSON.
Content = dict[str, Any]

#: Columns of the table on the page; the csv that it saves has all of them.
SHOWN = (
    "spine", "type", "length_nm", "neck_diameter_nm", "neck_diameter_low_nm",
    "neck_diameter_high_nm", "neck_length_nm", "head_diameter_nm", "volume_nm3",
    "n_localizations", "quality", "note",
)  # fmt: skip


class Reported(Protocol):
    """What a report is made from; :class:`nanospine.pipeline.RunResult` is one."""

    @property
    def config(self) -> Any:
        """Settings, with `input_path` and `model_dump`."""

    @property
    def input_sha256(self) -> str:
        """Sum of the input file."""

    @property
    def localizations(self) -> Localizations:
        """With a column `spine`, where it is known."""

    @property
    def envelope(self) -> Envelope:
        """The surface."""

    @property
    def spines(self) -> Spines:
        """The spines; may be none."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know."""

    @property
    def timings_s(self) -> dict[str, float]:
        """Seconds per step."""

    @property
    def versions(self) -> dict[str, str]:
        """Of the libraries."""

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Every operation, oldest first."""


def content_of(result: Reported) -> Content:
    """Gather what a report shows of a run."""
    spines, locs = result.spines, result.localizations
    mesh = spines.envelope if isinstance(spines.envelope, trimesh.Trimesh) else spines.envelope.mesh
    web_mesh, mesh_note = mesh_for_web(mesh, spines.vertex_spine)
    label = locs.table["spine"].to_numpy() if "spine" in locs.table else None
    web_points, points_note = points_for_web(locs.xyz_nm, label)
    table = spines.table
    settings = _flat(result.config.model_dump(mode="json"))
    return {
        "title": result.config.input_path.name,
        "nanospine": __version__,
        "summary": _summary(spines),
        "notes": list(result.notes),
        "thinned": [note for note in (mesh_note, points_note) if note],
        "input": _input(result),
        "steps": [_step(item) for item in result.history],
        "settings": {key: str(value) for key, value in settings},
        "versions": dict(result.versions),
        "timings": {name: f"{seconds:.2f} s" for name, seconds in result.timings_s.items()},
        "mesh": web_mesh,
        "points": web_points,
        "centre": np.asarray(mesh.bounds, dtype=np.float64).mean(axis=0).tolist(),
        "colours": {**TYPE_COLOURS, "shaft": SHAFT_COLOUR},
        "columns": list(SHOWN),
        "all_columns": [str(name) for name in table.columns],
        "explained": {name: text for name, text in COLUMNS.items() if text},
        "rows": plain(table.to_dict(orient="records")),
        "types": type_rows(table, _shaft_um(spines)),
        "profiles": [_profile(spine.neck, spine.row) for spine in spines.spines],
        "rings": [_rounded(ring_nm(spine, 24)) for spine in spines.spines],
        "curves": [],
        "fields": type_fields(table, str(getattr(_spine_settings(result), "preset", "nanospine"))),
    }


def _spine_settings(result: Reported) -> Any:
    return getattr(result.config, "spines", None)


def type_rows(table: pd.DataFrame, shaft_um: float | None) -> list[dict[str, Any]]:
    """Number, density per µm of shaft with its 95 % interval, and medians of each type.

    The interval is the exact one of a Poisson count (Garwood 1936),
    :math:`[\\chi^2_{0.025, 2n} / 2, \\chi^2_{0.975, 2n + 2} / 2]` over the length.

    Examples
    --------
    >>> import pandas as pd
    >>> names = ["neck_diameter_nm", "head_diameter_nm", "length_nm"]
    >>> table = pd.DataFrame({"type": ["thin"] * 4, **{name: [100.0] * 4 for name in names}})
    >>> row = type_rows(table, 8.0)[0]
    >>> row["per_um"], [round(float(value), 3) for value in row["per_um_interval"]]
    (0.5, [0.136, 1.28])
    """
    rows = []
    for kind in [*TYPE_COLOURS, None]:
        part = table if kind is None else table[table["type"] == kind]
        n = len(part)
        if n == 0 and kind is not None:
            continue
        row: dict[str, Any] = {"type": kind or "all", "n": n}
        if shaft_um:
            low = stats.chi2.ppf(0.025, 2 * n) / 2 if n else 0.0
            high = stats.chi2.ppf(0.975, 2 * n + 2) / 2
            row["per_um"] = n / shaft_um
            row["per_um_interval"] = [float(low) / shaft_um, float(high) / shaft_um]
        for name in ("neck_diameter_nm", "head_diameter_nm", "length_nm"):
            values = part[name].dropna()
            row[name] = float(values.median()) if len(values) else None
        rows.append(row)
    return rows


def _shaft_um(spines: Spines) -> float | None:
    return None if spines.shaft is None else spines.shaft.length_nm / 1000


def _summary(spines: Spines) -> dict[str, Any]:
    necks = spines.table["neck_diameter_nm"].dropna()
    quartiles = [float(v) for v in necks.quantile([0.25, 0.5, 0.75])] if len(necks) else None
    return {
        "shaft_um": _shaft_um(spines),
        "why_none": spines.notes[0] if spines.shaft is None and spines.notes else "",
        "necks": len(necks),
        "neck_quartiles_nm": quartiles,
    }


def _input(result: Reported) -> dict[str, str]:
    locs, asked = result.localizations, getattr(result.config, "input", None)
    low, high = result.envelope.mesh.bounds
    extent = " × ".join(f"{v / 1000:.2f}" for v in high - low)
    precision = locs.precision_nm
    shown = "not in the table"
    if precision is not None and len(locs):
        median = np.nanmedian(precision, axis=0) if np.isfinite(precision).any() else precision[0]
        shown = ", ".join(f"{v:.1f}" for v in median) + " nm (median of x, y, z)"
    return {
        # As it was given: where it lay may be gone, as of the demo, and is nobody else's concern
        "file": str(getattr(asked, "path", result.config.input_path)),
        "SHA-256": result.input_sha256,
        "localizations used": f"{len(locs):,}",
        "channels": ", ".join(locs.channels) or "one",
        "localization precision": shown,
        "extent of the surface": f"{extent} µm",
        "region": f"{type(locs.region).__name__}"
        + (" (the bounding box is assumed)" if locs.region.assumed else ""),
        "envelope": f"{result.envelope.method}, alpha {result.envelope.alpha_nm:.0f} nm, "
        f"{result.envelope.label} label, {len(result.envelope.mesh.faces):,} faces",
    }


def _step(step: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "operation": str(step["operation"]),
        "before": step.get("n_before"),
        "after": step.get("n_after"),
        "arguments": {
            str(key): value for key, value in step.get("arguments", {}).items() if value is not None
        },
        "notes": [str(note) for note in step.get("notes", [])],
    }


def _flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    result: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, dict):
            result += _flat(value, f"{prefix}{key}.")
        else:
            result.append((f"{prefix}{key}", value))
    return result


def _profile(neck: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    found = neck.constriction
    return {
        "s": _numbers(neck.position_nm),
        "d": _numbers(neck.diameter_nm),
        "low": _numbers(neck.low_nm),
        "high": _numbers(neck.high_nm),
        "n": [int(n) for n in neck.n_molecules],
        "at": None if found is None else _numbers([found.position_nm, found.diameter_nm]),
        "border": _numbers([row["neck_length_nm"]])[0],
        "reason": neck.reason,
    }


def _numbers(values: npt.ArrayLike) -> list[float | None]:
    array = np.asarray(values, dtype=np.float64)
    return [round(float(v), 1) if np.isfinite(v) else None for v in array]


def _rounded(ring: npt.NDArray[np.float64] | None) -> list[list[float]] | None:
    return None if ring is None else np.round(ring, 1).tolist()
