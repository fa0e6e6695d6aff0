"""Fill the page of the report with the data of a run."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import trimesh

from nanospine.core.colours import SHAFT_COLOUR, TYPE_COLOURS
from nanospine.core.files import atomic_path
from nanospine.core.history import plain
from nanospine.output.render import picture
from nanospine.output.report.scene import mesh_for_web, points_for_web
from nanospine.spines.model import COLUMNS, Spines
from nanospine.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from nanospine.core.history import HistoryEntry
    from nanospine.core.localizations import Localizations
    from nanospine.surface.envelope import Envelope

__all__ = ["Reported", "write_report"]

# Columns of the table on the page: the others are in spines.csv.
_SHOWN = (
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


def write_report(result: Reported, path: str | os.PathLike[str]) -> None:
    """Write the report of a run: one self-contained HTML file, no network needed.

    It shows what was read and dropped, a 3-D view to turn with the mouse or the keyboard, the
    table of spines to sort, filter and save, the neck profile of the picked spine, distributions,
    the history of the data, settings and versions. Surfaces above 300,000 faces and more than
    150,000 localizations are thinned for the view, and the page says so.

    Parameters
    ----------
    result : Reported
        Such as a :class:`nanospine.pipeline.RunResult`.
    path : path-like
        Of the HTML file.
    """
    page = _asset("page.html")
    thinned: list[str] = []
    data = _data(result, thinned)
    parts = {
        "TITLE": html.escape(result.config.input_path.name),
        "STYLE": _asset("style.css"),
        "SCRIPT": _asset("view.js"),
        "DATA": _json_for_html(data),
        "SUMMARY": _summary(result),
        "NOTES": _list([*result.notes, *thinned]),
        "INPUT": _input(result),
        "PICTURE": _picture(result.spines),
        "HISTORY": _history(result),
        "SETTINGS": _pairs(_flat(result.config.model_dump(mode="json"))),
        "VERSIONS": _pairs(result.versions),
        "TIMINGS": _pairs({name: f"{t:.2f} s" for name, t in result.timings_s.items()}),
        "COLUMNS": _pairs({name: text for name, text in COLUMNS.items() if text}),
        "VERSION": html.escape(__version__),
    }
    for name, text in parts.items():
        page = page.replace("{{" + name + "}}", text)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return resources.files("nanospine.output.report").joinpath(name).read_text(encoding="utf-8")


def _json_for_html(data: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever names the user's file has."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _data(result: Reported, thinned: list[str]) -> dict[str, Any]:
    spines = result.spines
    mesh = spines.envelope if isinstance(spines.envelope, trimesh.Trimesh) else spines.envelope.mesh
    web_mesh, note = mesh_for_web(mesh, spines.vertex_spine)
    if note:
        thinned.append(note)
    centre = np.asarray(mesh.bounds, dtype=np.float64).mean(axis=0)
    locs = result.localizations
    label = locs.table["spine"].to_numpy() if "spine" in locs.table else None
    web_points, note = points_for_web(locs.xyz_nm, label)
    if note:
        thinned.append(note)
    return {
        "mesh": web_mesh,
        "points": web_points,
        "centre": centre.tolist(),
        "colours": {**TYPE_COLOURS, "shaft": SHAFT_COLOUR},
        "columns": list(_SHOWN),
        "rows": plain(spines.table[list(_SHOWN)].to_dict(orient="records")),
        "profiles": [_profile(spine.neck, spine.row) for spine in spines.spines],
        "lines": [np.round(spine.centreline_nm, 1).tolist() for spine in spines.spines],
    }


def _profile(neck: Any, row: Mapping[str, Any]) -> dict[str, Any]:
    def numbers(values: npt.NDArray[np.float64]) -> list[float | None]:
        return [round(float(v), 1) if np.isfinite(v) else None for v in values]

    found = neck.constriction
    return {
        "s": numbers(neck.position_nm),
        "d": numbers(neck.diameter_nm),
        "low": numbers(neck.low_nm),
        "high": numbers(neck.high_nm),
        "n": [int(n) for n in neck.n_molecules],
        "at": None if found is None else numbers(np.array([found.position_nm, found.diameter_nm])),
        "border": numbers(np.array([row["neck_length_nm"]]))[0],
        "reason": neck.reason,
    }


def _summary(result: Reported) -> str:
    """The result in plain words."""
    spines = result.spines
    if spines.shaft is None:
        return f"<p class='big'>{html.escape(spines.notes[0] if spines.notes else '')}</p>"
    length = spines.shaft.length_nm / 1000
    counts = spines.table["type"].value_counts()
    kinds = ", ".join(f"{counts[kind]} {kind}" for kind in TYPE_COLOURS if kind in counts)
    necks = spines.table["neck_diameter_nm"].dropna()
    text = (
        f"<p class='big'><b>{len(spines)} spine{'' if len(spines) == 1 else 's'}</b> on "
        f"{length:.1f} µm of shaft ({spines.density_per_um:.2f} per µm)"
    )
    text += f": {kinds}.</p>" if kinds else ".</p>"
    if len(necks):
        text += (
            f"<p>Neck diameter (constriction, localization precision taken out): median "
            f"{necks.median():.0f} nm, from {necks.min():.0f} to {necks.max():.0f} nm; measured on "
            f"{len(necks)} of {len(spines)} spines.</p>"
        )
    return text


def _input(result: Reported) -> str:
    locs = result.localizations
    low, high = locs.region.bounds_nm
    extent = " x ".join(f"{(b - a) / 1000:.2f}" for a, b in zip(low, high, strict=True))
    rows = {
        "file": result.config.input_path.name,
        "SHA-256": result.input_sha256,
        "localizations": f"{len(locs):,}",
        "channels": ", ".join(locs.channels) or "one, without a name",
        "observed region": f"{type(locs.region).__name__}, {extent} µm"
        + (" (the bounding box is assumed)" if locs.region.assumed else ""),
        "envelope": f"{result.envelope.method}, alpha {result.envelope.alpha_nm:.0f} nm, "
        f"{result.envelope.label} label, {len(result.envelope.mesh.faces):,} faces",
    }
    return _pairs(rows)


def _pairs(rows: Mapping[str, Any]) -> str:
    body = "".join(
        f"<tr><th scope='row'>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<table class='pairs'>{body}</table>"


def _flat(data: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, value in data.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            result |= _flat(value, f"{name}.")
        else:
            result[name] = value
    return result


def _list(items: list[str]) -> str:
    if not items:
        return "<p>None.</p>"
    return "<ul>" + "".join(f"<li>{html.escape(item)}</li>" for item in items) + "</ul>"


def _history(result: Reported) -> str:
    rows = []
    for step in result.history:
        counts = ""
        if "n_after" in step:
            before = step.get("n_before")
            counts = (
                f"{step['n_after']:,}" if before is None else f"{before:,} → {step['n_after']:,}"
            )
        arguments = ", ".join(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in step.get("arguments", {}).items()
            if value is not None
        )
        notes = " ".join(step.get("notes", []))
        cells = (step["operation"], counts, arguments, notes)
        rows.append("".join(f"<td>{html.escape(str(cell)[:600])}</td>" for cell in cells))
    head = "".join(f"<th scope='col'>{t}</th>" for t in ("step", "rows", "arguments", "notes"))
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f"<table class='steps'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _picture(spines: Spines) -> str:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    figure = picture(spines, width=1100)
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    code = base64.b64encode(buffer.getvalue()).decode()
    alt = f"The envelope from above and from the side with {len(spines)} spines coloured by type"
    return f"<img alt='{alt}' src='data:image/png;base64,{code}'>"
