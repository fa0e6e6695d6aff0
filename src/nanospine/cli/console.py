"""Talking to people and to programs: tables, JSON, progress bars."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bars
from rich.table import Table

from nanospine.core.history import plain
from nanospine.core.progress import Progress

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["emit_json", "emit_pairs", "emit_table", "progress_bar", "records", "say"]

# Wide enough that a table which goes into a file or a pipe is never folded.
_PIPE_WIDTH = 240


class _Console(Console):
    """A console that lets a closed pipe be seen by who asked for the output."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def _stdout() -> Console:
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    return _Console(file=sys.stdout, width=width, highlight=False, markup=False)


def say(text: str) -> None:
    """Tell the user something on stderr."""
    typer.echo(text, err=True)


def emit_json(value: Any) -> None:
    """Write one JSON value on stdout."""
    typer.echo(json.dumps(plain(value), indent=1, ensure_ascii=False))


def records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Give a table as a list of dictionaries; what is not a number becomes None (JSON null).

    Examples
    --------
    >>> import pandas as pd
    >>> records(pd.DataFrame({"type": ["thin"], "neck_diameter_nm": [float("nan")]}))
    [{'type': 'thin', 'neck_diameter_nm': None}]
    """
    return [
        {
            str(name): None if isinstance(item, float) and not math.isfinite(item) else plain(item)
            for name, item in row.items()
        }
        for row in frame.to_dict("records")
    ]


def emit_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str = "") -> None:
    """Show a table on stdout; columns whose cells are all numbers stand to the right."""
    table = Table(title=title or None, title_justify="left")
    for number, name in enumerate(columns):
        right = all(not row[number] or row[number][0] in "-0123456789–" for row in rows)
        table.add_column(name, justify="right" if right else "left")
    for row in rows:
        table.add_row(*row)
    _stdout().print(table)


def emit_pairs(pairs: Mapping[str, str]) -> None:
    """Show names and values on stdout, one pair a line."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        typer.echo(f"{name:<{width}}  {value}")


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress callback that draws a bar on stderr, when that is a terminal."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:  # rich before 15 ends even a disabled bar with an empty line
        yield lambda _stage, _fraction: None
        return
    columns = (TextColumn("{task.description:28s}"), BarColumn(), TimeElapsedColumn())
    with Bars(*columns, console=console, transient=True) as bars:
        task = bars.add_task("", total=1.0)

        def show(stage: str, fraction: float) -> None:
            bars.update(task, description=stage, completed=fraction)

        yield show
