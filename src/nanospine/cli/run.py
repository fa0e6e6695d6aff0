"""`nanospine run CONFIG.toml`: one configuration, one folder of results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanospine.cli.console import emit_json, emit_table, progress_bar, records, say
from nanospine.cli.options import JsonOption, OverwriteOption
from nanospine.core.errors import ConfigError

if TYPE_CHECKING:
    from nanospine.config import RunConfig
    from nanospine.pipeline import RunResult

__all__ = ["execute", "run", "show_spines"]

# Columns of the table on the screen: heading, column, format.
_SHOWN = (
    ("spine", "spine", "d"),
    ("type", "type", "s"),
    ("length nm", "length_nm", ".0f"),
    ("neck diameter nm", "neck_diameter_nm", ".0f"),
    ("from", "neck_diameter_low_nm", ".0f"),
    ("to (95 %)", "neck_diameter_high_nm", ".0f"),
    ("neck length nm", "neck_length_nm", ".0f"),
    ("head diameter nm", "head_diameter_nm", ".0f"),
    ("localizations", "n_localizations", "d"),
    ("quality", "quality", ".2f"),
)


def run(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="What to do, as a TOML file.")
    ] = None,
    overwrite: OverwriteOption = False,
    example: Annotated[
        bool, typer.Option("--example", help="Print a configuration to start from.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Do what a configuration says: read, filter, wrap, find and measure spines, write a folder.

    For a single file without a configuration: nanospine spines FILE -o DIR.
    """
    from nanospine.config import EXAMPLE, RunConfig

    if example:
        typer.echo(EXAMPLE, nl=False)
        return
    if config is None:
        raise typer.BadParameter("name a configuration, or ask for one with --example")
    if config.is_dir():
        raise ConfigError(f"{config}: is a folder; a configuration is a TOML file.")
    asked = RunConfig.from_toml(config)
    if overwrite:
        output = asked.output.model_copy(update={"overwrite": True})
        asked = asked.model_copy(update={"output": output})
    execute(asked, json=json)


def execute(config: RunConfig, *, json: bool) -> RunResult:
    """Run a configuration with a progress bar, and show what was found."""
    from nanospine.pipeline import run as run_pipeline

    with progress_bar() as progress:
        result = run_pipeline(config, progress=progress)
    if json:
        emit_json(
            result.to_dict()
            | {"folder": str(result.folder), "spines": records(result.spines.table)}
        )
    else:
        show_spines(result)
    return result


def show_spines(result: RunResult) -> None:
    """Show the table of spines on stdout, the notes and the place of the results on stderr."""
    table = result.spines.table
    if len(table):
        rows = [[_cell(row[column], form) for _, column, form in _SHOWN] for row in records(table)]
        emit_table([heading for heading, _, _ in _SHOWN], rows)
    for note in result.notes:
        say(f"note: {note}")
    count = len(table)
    say(f"{count} {'spine' if count == 1 else 'spines'}; results in {result.folder}")


def _cell(value: object, form: str) -> str:
    if value is None:
        return "–"
    return format(int(value) if form == "d" else value, form)  # type: ignore[call-overload]
