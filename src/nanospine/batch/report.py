"""One HTML file about a whole experiment: opens offline, links to the report of every file."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from nanospine.batch.groups import Groups
from nanospine.batch.settings import BatchConfig
from nanospine.core.files import atomic_path
from nanospine.version import __version__

if TYPE_CHECKING:
    from nanospine.batch.run import BatchResult

__all__ = ["write_batch_report"]

_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:76rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}
h1,h2{line-height:1.2} table{border-collapse:collapse;font-size:.85rem;display:block;
overflow-x:auto} caption{text-align:left;padding:.3rem 0;color:#444}
th,td{padding:.25rem .6rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th{background:#f2f2f2} td.text,th.text{text-align:left} tr.failed td{background:#fdeaea}
td.long{white-space:normal;min-width:24rem} img{max-width:100%} .note{margin:.2rem 0}
a{color:#0645ad} @media print{table{display:table;font-size:8pt}}
"""

_FILES = (
    ("file", "file"), ("condition", "condition"), ("animal", "animal"), ("culture", "culture"),
    ("status", "status"), ("n_localizations", "localizations"), ("n_spines", "spines"),
    ("shaft_length_nm", "dendrite nm"), ("spines_per_um", "spines per µm"), ("reason", "reason"),
)  # fmt: skip
_COMPARISONS = (
    ("measure", "measure"), ("condition_a", "a"), ("condition_b", "b"), ("test", "test"),
    ("n_a", "n a"), ("n_b", "n b"), ("n_spines_a", "spines a"), ("n_spines_b", "spines b"),
    ("mean_a", "mean a"), ("mean_b", "mean b"), ("difference", "b − a"),
    ("difference_low", "from"), ("difference_high", "to (95 %)"), ("p_value", "p"),
    ("p_holm", "p (Holm)"), ("hedges_g", "Hedges g"), ("icc", "ICC"),
    ("p_mixed_model", "p mixed model"),
)  # fmt: skip
_CONDITIONS = (
    ("measure", "measure"), ("condition", "condition"), ("n_units", "n"), ("n_files", "files"),
    ("n_spines", "spines"), ("mean", "mean"), ("sd", "sd"), ("mean_low", "from"),
    ("mean_high", "to (95 %)"),
)  # fmt: skip
_TEXT = {"file", "condition", "animal", "culture", "status", "reason", "measure", "condition_a",
         "condition_b", "test"}  # fmt: skip


def write_batch_report(
    result: BatchResult,
    groups: Groups,
    figures: Mapping[str, Path],
    config: BatchConfig,
    path: Path,
) -> None:
    """Write the report of an experiment.

    Parameters
    ----------
    result : BatchResult
        Files, spines and notes.
    groups : Groups
        Statistics of conditions.
    figures : mapping
        Alternative text -> PNG file; their bytes go into the report.
    config : BatchConfig
        What was asked.
    path : Path
        The HTML file.
    """
    done, n_files = int((result.files["status"] == "done").sum()), len(result.files)
    parts = [
        f"<h1>Experiment {_text(result.folder.name)}</h1>",
        f"<p>{done} of {n_files} files, {len(result.spines)} spines, "
        f"{len(groups.units)} {_text(groups.unit)}s as independent observations.</p>",
        _notes(result),
    ]
    if len(result.failed):
        parts += [
            "<h2>Files that failed</h2>",
            "<p>They are in no table or test below. The same command tries them again.</p>",
            _table(result.failed, (("file", "file"), ("status", "status"), ("reason", "reason"))),
        ]
    parts.append("<h2>Conditions</h2>")
    for text, image in figures.items():
        code = base64.b64encode(image.read_bytes()).decode()
        parts.append(f'<p><img alt="{_text(text)}" src="data:image/png;base64,{code}"></p>')
    caption = f"n counts {groups.unit}s; intervals are of the mean over {groups.unit}s."
    parts.append(_table(groups.conditions, _CONDITIONS, caption))
    if len(groups.comparisons):
        parts += ["<h2>Comparisons</h2>", _table(groups.comparisons, _COMPARISONS, _EXPLAINED)]
    parts += ["<h2>Files</h2>", _table(result.files, _FILES, link=config.run.output.pictures)]
    parts += ["<h2>Settings</h2>", f"<pre>{_text(_settings(config))}</pre>"]
    page = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Experiment {_text(result.folder.name)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main>"
        f"<footer><p>nanospine {_text(__version__)}</p></footer></body></html>\n"
    )
    with atomic_path(path) as temporary:
        temporary.write_text(page, encoding="utf-8")


_EXPLAINED = (
    "Differences of averages. p: of the test named; p (Holm): corrected for all rows of this "
    "table. ICC: how alike the spines of one unit are; well above 0, spines taken as independent "
    "would have given p values that are too small."
)


def _notes(result: BatchResult) -> str:
    return "".join(f'<p class="note">• {_text(note)}</p>' for note in result.notes)


def _settings(config: BatchConfig) -> str:
    import json

    run = config.run.model_dump(mode="json")
    run["input"].pop("path")
    shown = {
        "batch": config.batch.model_dump(mode="json"),
        "statistics": config.statistics.model_dump(mode="json"),
        **run,
    }
    for name in ("jobs", "memory_gb", "timeout_min"):
        shown["batch"].pop(name)  # they change how fast, never what
    return json.dumps(shown, indent=1, ensure_ascii=False)


def _table(
    frame: pd.DataFrame,
    columns: tuple[tuple[str, str], ...],
    caption: str = "",
    *,
    link: bool = False,
) -> str:
    head = "".join(
        f'<th scope="col" class="{"text" if name in _TEXT else ""}">{_text(title)}</th>'
        for name, title in columns
    )
    rows = []
    for item in frame.to_dict("records"):
        cells = "".join(_cell(name, item, link) for name, _ in columns)
        failed = item.get("status", "done") != "done"
        rows.append(f"<tr{' class=failed' if failed else ''}>{cells}</tr>")
    top = f"<caption>{_text(caption)}</caption>" if caption else ""
    return f"<table>{top}<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _cell(name: str, item: Mapping[Any, Any], link: bool) -> str:
    value = item[name]
    if name in _TEXT:
        text = _text("" if value is None else str(value))
        if name == "file" and link and item["status"] == "done":
            text = f'<a href="{_text(str(item["folder"]))}/report.html">{text}</a>'
        return f'<td class="text{" long" if name == "reason" and text else ""}">{text}</td>'
    if pd.isna(value):
        return "<td>–</td>"
    return f"<td>{value:.4g}</td>" if isinstance(value, float) else f"<td>{value}</td>"


def _text(value: str) -> str:
    return html.escape(value)
