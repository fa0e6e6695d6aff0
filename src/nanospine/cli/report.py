"""`nanospine report RUN_FOLDER`: the report of a run again, with statistics and corrections."""

from __future__ import annotations

import json as jsonlib
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanospine.cli.console import emit_json, progress_bar, say
from nanospine.cli.options import JsonOption
from nanospine.core.errors import SchemaError

if TYPE_CHECKING:
    from nanospine.config import RunConfig
    from nanospine.pipeline import Analysis

__all__ = ["analysed_again", "report"]

_TABLES = (".csv", ".parquet")


def report(
    folder: Annotated[Path, typer.Argument(metavar="RUN_FOLDER", help="Results of a run.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="HTML file [default: RUN_FOLDER/report.html]."),
    ] = None,
    statistics: Annotated[
        list[Path] | None,
        typer.Option(
            "--statistics",
            "-s",
            help="Table of a statistic to show (csv or Parquet with radius_nm, or SODA rings with "
            "low_nm and high_nm); RUN_FOLDER/statistics/ is looked through anyway.",
        ),
    ] = None,
    corrections: Annotated[
        Path | None,
        typer.Option(
            "--corrections",
            help="Corrections saved by the napari plugin [default: RUN_FOLDER/corrections.json].",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write the report of a run again, with statistics and with corrections made by hand."""
    from nanospine.output.corrections import read_corrections
    from nanospine.output.report import with_corrections, with_statistics, write_content

    if not (folder / "run.json").is_file():
        raise SchemaError(
            f"{folder}: the results of a run were expected, but there is no run.json; make them "
            "with `nanospine spines FILE` or `nanospine run CONFIG.toml`."
        )
    content, overview = _content(folder)
    tables = sorted((folder / "statistics").glob("*")) if (folder / "statistics").is_dir() else []
    tables = [file for file in tables if file.suffix.lower() in _TABLES]
    content = with_statistics(content, [*tables, *(statistics or [])])
    changes = folder / "corrections.json" if corrections is None else corrections
    n_changes = 0
    if corrections is not None or changes.is_file():
        found = read_corrections(changes)
        content, n_changes = with_corrections(content, found), len(found)
    # Corrections are applied to what the run found: written over the run's own report they would
    # be applied twice
    target = out or folder / ("report-corrected.html" if n_changes else "report.html")
    write_content(content, overview, target)
    say(f"report written to {target}")
    if json:
        emit_json(
            {
                "report": str(target),
                "n_spines": len(content["rows"]),
                "n_statistics": len(content["curves"]),
                "n_corrections": n_changes,
            }
        )


def _content(folder: Path) -> tuple[dict[str, Any], str]:
    """What the run's own report shows; where there is none, what its localizations give again."""
    from nanospine.output.report import read_report

    old = folder / "report.html"
    if old.is_file():
        try:
            return read_report(old)
        except SchemaError as error:
            say(f"{error} The localizations are analysed again.")
    return _again(folder)


def _again(folder: Path) -> tuple[dict[str, Any], str]:
    """Analyse the localizations of a run again, which are filtered already."""
    from nanospine.output.report.content import content_of
    from nanospine.output.report.pictures import overview_picture, spine_pictures

    stored = jsonlib.loads((folder / "run.json").read_text(encoding="utf-8"))
    config, found = analysed_again(folder)
    result: Any = SimpleNamespace(
        config=config,
        input_sha256=stored["input"]["sha256"],
        localizations=found.localizations,
        envelope=found.envelope,
        spines=found.spines,
        notes=found.notes,
        timings_s=found.timings_s,
        versions=stored["versions"],
        history=found.history,
    )
    content = content_of(result)
    content["pictures"] = spine_pictures(found.spines)
    return content, overview_picture(found.spines)


def analysed_again(folder: Path) -> tuple[RunConfig, Analysis]:
    """Analyse what a run kept with its own settings: channel, label, alpha, precision."""
    from nanospine.config import RunConfig
    from nanospine.io.registry import read
    from nanospine.pipeline import analyse

    stored = jsonlib.loads((folder / "run.json").read_text(encoding="utf-8"))
    # The run's own copy of the changes made by hand: the file itself may be gone by now
    applied = folder / "corrections-applied.json"
    asked = {**stored["config"]["spines"], "corrections": None}
    if applied.is_file():
        asked["corrections"] = str(applied.resolve())
    config = RunConfig.from_dict({**stored["config"], "filter": [], "step": [], "spines": asked})
    with progress_bar() as progress:
        return config, analyse(read(folder / "localizations.parquet"), config, progress=progress)
