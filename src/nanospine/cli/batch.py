"""`nanospine batch CONFIG.toml`: a whole experiment, each file once."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanospine.cli.console import emit_json, emit_table, say
from nanospine.cli.guard import EXIT_SOME_FAILED
from nanospine.cli.options import JsonOption
from nanospine.core.errors import ConfigError

if TYPE_CHECKING:
    from nanospine.batch.run import BatchResult, Told
    from nanospine.batch.samples import Sample
    from nanospine.batch.task import Outcome

__all__ = ["TimeLeft", "batch"]


def batch(
    config: Annotated[
        Path | None, typer.Argument(metavar="CONFIG.toml", help="What to do, as a TOML file.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option("--jobs", "-j", min=1, help="Files worked on at a time.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(
            "--scheduler", metavar="ADDRESS", help="A dask scheduler: tcp://host:8786, or local."
        ),
    ] = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a configuration to start from.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Work on all files of an experiment, and put them into one table, statistics and a report.

    Run it again after anything, a crash or new files: what is done is not done twice. Files that
    fail are listed with the reason, and the exit code is 3.
    """
    from nanospine.batch.settings import BATCH_EXAMPLE, BatchConfig

    if example:
        typer.echo(BATCH_EXAMPLE, nl=False)
        return
    if config is None:
        raise typer.BadParameter("name a configuration, or ask for one with --example")
    if config.is_dir():
        raise ConfigError(f"{config}: is a folder; a configuration is a TOML file.")
    asked = BatchConfig.from_toml(config)
    from nanospine.batch.run import run_batch

    with _telling() as told:
        result = run_batch(asked, jobs=jobs, scheduler=scheduler, told=told)
    if json:
        emit_json(result.to_dict())
    else:
        _show(result)
    if len(result.failed):
        raise typer.Exit(EXIT_SOME_FAILED)


class TimeLeft:
    """How long the rest will take, from how long the files of this run took.

    Examples
    --------
    >>> clock = iter([0.0, 10.0, 20.0])
    >>> left = TimeLeft(lambda: next(clock))
    >>> left.after(3, 5), left.after(4, 5)  # two were done before
    ('about 20 s left', 'about 10 s left')
    """

    def __init__(self, clock: object = time.monotonic) -> None:
        self._clock = clock
        self._start = self._now()
        self._worked = 0

    def _now(self) -> float:
        return float(self._clock())  # type: ignore[operator]

    def after(self, through: int, total: int) -> str:
        """Say how long the rest takes when one more file is through."""
        self._worked += 1
        rest = (self._now() - self._start) / self._worked * (total - through)
        if rest >= 5400:
            return f"about {rest / 3600:.1f} h left"
        return f"about {rest / 60:.0f} min left" if rest >= 90 else f"about {rest:.0f} s left"


@contextmanager
def _telling() -> Iterator[Told]:
    """Give what tells of every file: a bar on a terminal, a line a file elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    left = TimeLeft()
    console = Console(file=sys.stderr, highlight=False, markup=False, soft_wrap=True)
    columns = (TextColumn("files"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))  # fmt: skip # noqa: E501
    bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def tell(sample: Sample, outcome: Outcome, through: int, total: int) -> None:
        rest = left.after(through, total)
        bars.update(task, completed=through, total=total, left=rest)
        what = f"{outcome.seconds:.1f} s" if outcome.status == "done" else "FAILED"
        reason = f": {outcome.reason}" if outcome.reason else ""
        console.print(f"{through}/{total} {sample.file}  {what}{reason}  ({rest})")

    with bars:
        task = bars.add_task("", total=None, left="")
        yield tell


def _show(result: BatchResult) -> None:
    rows = [
        [row["file"], row["condition"] or "–", row["animal"] or row["culture"] or "–",
         row["status"], _number(row["n_localizations"]), _number(row["n_spines"])]
        for row in result.files.to_dict("records")
    ]  # fmt: skip
    emit_table(["file", "condition", "animal", "status", "localizations", "spines"], rows)
    for note in result.notes:
        say(f"note: {note}")
    done = len(result.files) - len(result.failed)
    say(
        f"{done} of {len(result.files)} files done ({result.n_worked} now), {len(result.spines)} "
        f"spines; open {result.folder / 'report.html'}"
    )
    for row in result.failed.to_dict("records"):
        say(f"failed: {row['file']}: {row['reason']}")


def _number(value: object) -> str:
    return "–" if str(value) in ("<NA>", "nan", "None") else str(value)
