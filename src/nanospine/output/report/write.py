"""Fill the page of the report."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from nanospine.core.files import atomic_path
from nanospine.output.report.content import Content, Reported, content_of
from nanospine.output.report.curves import gathered
from nanospine.output.report.pictures import overview_picture, spine_pictures
from nanospine.output.report.sections import (
    listed,
    pairs,
    statistics_section,
    steps_table,
    summary_text,
    types_table,
)

__all__ = ["write_content", "write_report"]

_SCRIPTS = ("page.js", "charts.js", "table.js", "view.js")


def write_report(
    result: Reported,
    path: str | os.PathLike[str],
    *,
    statistics: Mapping[str, Any] | Iterable[Any] = (),
) -> None:
    """Write the report of a run: one self-contained HTML file, no network needed.

    It shows what was read and dropped, a 3-D view to turn with the mouse or the keyboard, the
    table of spines to sort, filter and save, the row, neck profile and picture of the picked
    spine, distributions, types per µm, statistics where there are any, the history of the data,
    settings and versions. Surfaces above 300,000 faces and more than 150,000 localizations are
    thinned for the view, and the page says so.

    Parameters
    ----------
    result : Reported
        Such as a :class:`nanospine.pipeline.RunResult`.
    path : path-like
        Of the HTML file.
    statistics : mapping or iterable, optional
        Summary functions (Ripley and others), SODA results, or their tables; the keys of a
        mapping become titles.
    """
    content = content_of(result)
    content["pictures"] = spine_pictures(result.spines)
    content["curves"] = gathered(statistics)
    write_content(content, overview_picture(result.spines), path)


def write_content(content: Content, overview: str, path: str | os.PathLike[str]) -> None:
    """Write a page.

    Parameters
    ----------
    content : dict
        As :func:`content_of` gives it.
    overview : str
        Address of the overview picture, `data:...`.
    path : path-like
    """
    alt = (
        f"The envelope from above and from the side with {len(content['rows'])} spines "
        "coloured by type"
    )
    parts = {
        "TITLE": html.escape(content["title"]),
        "STYLE": _asset("style.css"),
        "SCRIPT": '"use strict";\n(() => {\n' + "".join(map(_asset, _SCRIPTS)) + "})();\n",
        "DATA": _json_for_html(content),
        "SUMMARY": summary_text(content),
        "NOTES": listed([*content["notes"], *content["thinned"]]),
        "INPUT": pairs(content["input"]),
        "TYPES": types_table(content),
        "STATISTICS": statistics_section(content["curves"]),
        "PICTURE": f'<img id="overview" alt="{alt}" src="{overview}">',
        "HISTORY": steps_table(content["steps"]),
        "SETTINGS": pairs(content["settings"]),
        "VERSIONS": pairs(content["versions"]),
        "TIMINGS": pairs(content["timings"]),
        "COLUMNS": pairs(content["explained"]),
        "VERSION": html.escape(content["nanospine"]),
    }
    page = _asset("page.html")
    parts["KIND"] = "" if content["rows"] else "empty"
    shown = page.replace("{{STATISTICS}}", parts["STATISTICS"])
    if not content["rows"]:  # what is hidden has no link
        shown = re.sub(r'<section [^>]*class="of-spines">.*?</section>', "", shown, flags=re.S)
    headings = re.findall(r'<h2 id="(h-[a-z]+)">([^<]+)<', shown)
    parts["LINKS"] = " ".join(f'<a href="#{name}">{text}</a>' for name, text in headings)
    # In one pass: what a user's file is called cannot be taken for a place to fill
    page = re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], page)
    with atomic_path(Path(path)) as temporary:
        temporary.write_text(page, encoding="utf-8")


def _asset(name: str) -> str:
    return resources.files("nanospine.output.report").joinpath(name).read_text(encoding="utf-8")


def _json_for_html(data: Any) -> str:
    """JSON that cannot end the script element it stands in, whatever names the user's file has."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
