"""`nanospine filter FILE OUT`: clean localizations, step by step, and say what each step took."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanospine.cli.console import emit_json, emit_table, progress_bar, records, say
from nanospine.cli.options import (
    FormatOption,
    JsonOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations

__all__ = ["filter"]


def filter(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Localizations, in any format that is known."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Argument(metavar="OUT", help="The suffix says the format; left out: only the table."),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option(
            "--where", "-w", metavar="CONDITION", help="Keep rows: 'photons > 500 and frame < 9000'"
        ),
    ] = None,
    step: Annotated[
        list[str] | None,
        typer.Option(
            "--step",
            "-s",
            metavar="'NAME VALUE NAME=VALUE'",
            help="A step, such as 'drop_sparse 50 min_neighbours=5'; in the order given, after "
            "--where. --steps lists them.",
        ),
    ] = None,
    steps: Annotated[bool, typer.Option("--steps", help="List the steps with arguments.")] = False,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:
    """Filter, link, correct drift, assign channels, cluster: one step after the other.

    The table on stdout tells how many rows each step took. The history goes into the file.
    """
    from nanospine.io.registry import read, write
    from nanospine.points.steps import Step, apply_steps, parse_step, step_help, step_names

    if steps:
        for name in step_names():
            typer.echo(step_help(name))
        return
    if file is None:
        raise typer.BadParameter("name a file, or ask for the steps with --steps")
    asked = tuple(Step("keep_where", {"expression": item}) for item in where or ())
    asked += tuple(parse_step(item) for item in step or ())
    if not asked:
        raise typer.BadParameter("give at least one --where or --step; --steps lists them")
    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    n_read = len(locs.history)
    with progress_bar() as progress:
        cleaned = apply_steps(locs, asked, progress=progress)
        if out is not None:
            write(cleaned, out)
    _show(cleaned, n_read, json=json)
    if out is not None:
        say(f"{len(cleaned)} of {len(locs)} localizations written to {out}")


def _show(cleaned: Localizations, n_read: int, *, json: bool) -> None:
    from nanospine.points.filtering import filter_summary

    new = cleaned.history[n_read:]
    summary = filter_summary(cleaned).tail(len(new))
    if json:
        emit_json({"rows": len(cleaned), "steps": records(summary)})
        return
    rows = [
        [
            item["operation"],
            _short(item["arguments"]),
            f"{item['before']}",
            f"{item['after']}",
            f"{item['removed']} ({item['removed_percent']:.1f} %)",
        ]
        for item in records(summary)
    ]
    emit_table(["step", "arguments", "before", "after", "removed"], rows)
    for note in (note for item in new for note in item.get("notes", ())):
        say(f"note: {note}")


def _short(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
