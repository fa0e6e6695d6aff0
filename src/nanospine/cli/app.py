"""The program `nanospine`: gathers the verbs."""

from __future__ import annotations

import signal
import sys
from typing import Annotated, Any

import typer

from nanospine.cli import (
    batch,
    convert,
    couple,
    demo,
    doctor,
    envelope,
    export,
    field,
    filter,
    inspect,
    report,
    ripley,
    run,
    segment,
    simulate,
    spines,
    view,
    voxelize,
)
from nanospine.cli.guard import GuardedGroup
from nanospine.version import __version__

__all__ = ["app", "main"]

app = typer.Typer(
    cls=GuardedGroup,
    name="nanospine",
    help="From single-molecule localizations (STORM, PALM, PAINT, MINFLUX) to dendritic spines.",
    epilog="Exit codes: 0 done, 1 the input is at fault, 2 wrong usage, 3 some inputs of several "
    "failed, 70 nanospine itself is at fault. Data go to stdout, talk to stderr.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("convert")(convert.convert)
app.command("filter")(filter.filter)
app.command("envelope")(envelope.envelope)
app.command("voxelize")(voxelize.voxelize)
app.command("segment")(segment.segment)
app.command("spines")(spines.spines)
app.command("ripley")(ripley.ripley)
app.command("couple")(couple.couple)
app.command("run")(run.run)
app.command("batch")(batch.batch)
app.command("field")(field.field)
app.command("report")(report.report)
app.command("view")(view.view)
app.command("export")(export.export)
app.command("simulate")(simulate.simulate)
app.command("doctor")(doctor.doctor)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"nanospine {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version."),
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error (anywhere in the line).")
    ] = False,
) -> None:
    pass


def _terminate(signum: int, _frame: Any) -> None:
    """Leave through the `finally` clauses: temporary files go when a batch system stops us."""
    sys.exit(128 + signum)


def main() -> None:
    """Run the command line."""
    signal.signal(signal.SIGTERM, _terminate)
    app()


if __name__ == "__main__":
    main()
