"""The parts of the page that are plain HTML: lists, tables, sentences."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping, Sequence
from typing import Any

from nanospine.core.colours import TYPE_COLOURS

__all__ = ["listed", "pairs", "statistics_section", "steps_table", "summary_text", "types_table"]

_LONGEST = 600


def summary_text(content: Mapping[str, Any]) -> str:
    """The result in plain words."""
    summary, rows = content["summary"], content["rows"]
    if summary["shaft_um"] is None:
        return f"<p class='big'>{html.escape(summary['why_none'])}</p>"
    length, n = summary["shaft_um"], len(rows)
    per_um = n / length if length else float("nan")
    counts = {kind: sum(row["type"] == kind for row in rows) for kind in TYPE_COLOURS}
    kinds = ", ".join(f"{count} {kind}" for kind, count in counts.items() if count)
    text = (
        f"<p class='big'><b>{n} spine{'' if n == 1 else 's'}</b> on "
        f"{length:.1f} µm of shaft ({per_um:.2f} per µm){': ' if kinds else ''}{kinds}.</p>"
    )
    if summary["neck_quartiles_nm"]:
        low, middle, high = summary["neck_quartiles_nm"]
        text += (
            "<p>Neck diameter (constriction, localization precision taken out): median "
            f"{middle:.0f} nm, quartiles {low:.0f} to {high:.0f} nm, {summary['necks']} of {n} "
            "necks measured.</p>"
        )
    return text


def listed(items: Sequence[str]) -> str:
    """Sentences as a list."""
    if not items:
        return "<p>None.</p>"
    inside = "".join(f"<li>{html.escape(item)}</li>" for item in items)
    return f"<ul class='warnings'>{inside}</ul>"


def pairs(rows: Mapping[str, Any]) -> str:
    """Names and values as a table."""
    body = "".join(
        f"<tr><th scope='row'>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in rows.items()
    )
    return f"<table class='pairs'>{body}</table>"


def steps_table(steps: Sequence[Mapping[str, Any]]) -> str:
    """Every step with the rows before and after, as numbers and as bars."""
    most = max((step["after"] or 0 for step in steps), default=0)
    most = max(most, *(step["before"] or 0 for step in steps)) if steps else 0
    rows = []
    for step in steps:
        before, after = step["before"], step["after"]
        counts = dropped = bar = ""
        if after is not None:
            counts = f"{after:,}" if before is None else f"{before:,} → {after:,}"
            share = 100 * after / most if most else 0
            bar = f"<span class='bar' style='width:{share * 0.8:.1f}px'></span>"
        if before is not None and after is not None and before > after:
            dropped = f"{before - after:,} ({100 * (before - after) / before:.1f} %)"
        arguments = ", ".join(
            f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in step["arguments"].items()
        )
        cells = [
            _cell(step["operation"]), _cell(counts), f"<td>{bar}</td>", _cell(dropped),
            _cell(arguments), _cell(" ".join(step["notes"])),
        ]  # fmt: skip
        rows.append("<tr>" + "".join(cells) + "</tr>")
    return _table("steps", ("step", "rows", "", "dropped", "arguments", "notes"), rows)


def types_table(content: Mapping[str, Any]) -> str:
    """Number and density of each type with its interval, and medians."""
    rows = []
    for row in content["types"]:
        colour = content["colours"].get(row["type"])
        dot = f"<i class='dot' style='background:{colour}'></i>" if colour else ""
        density = "–"
        if "per_um" in row:
            low, high = row["per_um_interval"]
            density = f"{row['per_um']:.2f} ({low:.2f} to {high:.2f})"
        medians = [
            "–" if row[name] is None else f"{row[name]:.0f}"
            for name in ("neck_diameter_nm", "head_diameter_nm", "length_nm")
        ]
        cells = "".join(f"<td class='number'>{v}</td>" for v in (row["n"], density, *medians))
        rows.append(f"<tr><td>{dot}{html.escape(row['type'])}</td>{cells}</tr>")
    heads = (
        "type", "spines", "per µm of shaft (95 %)", "median neck (nm)", "median head (nm)",
        "median length (nm)",
    )  # fmt: skip
    return _table("types", heads, rows)


def statistics_section(curves: Sequence[Mapping[str, Any]]) -> str:
    """A place for each chart, with its numbers and notes; nothing when there is no statistic."""
    if not curves:
        return ""
    figures = []
    for number, curve in enumerate(curves):
        facts = pairs(curve["facts"]) if curve.get("facts") else ""
        notes = listed(curve["notes"]) if curve.get("notes") else ""
        hint = "dashed red: without structure" if curve.get("theory") else ""
        if curve.get("low"):
            hint += ("; " if hint else "") + "grey: envelope of simulations"
        if curve.get("marked"):
            hint += ("; " if hint else "") + "dark: significant rings"
        caption = f"<figcaption><b>{html.escape(curve['title'])}</b> {hint}</figcaption>"
        figures.append(f"<figure><div id='curve-{number}'></div>{caption}{facts}{notes}</figure>")
    return (
        "<section aria-labelledby='h-statistics'><h2 id=\"h-statistics\">Statistics</h2>"
        f"<div class='row'>{''.join(figures)}</div></section>"
    )


def _table(kind: str, heads: Sequence[str], rows: Sequence[str]) -> str:
    head = "".join(f"<th scope='col'>{text}</th>" if text else "<td></td>" for text in heads)
    body = "".join(rows)
    return f"<table class='{kind}'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(value: Any) -> str:
    return f"<td>{html.escape(str(value)[:_LONGEST])}</td>"
