"""What happens when a command fails: one clear sentence and an exit code that means something."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from nanospine.core.errors import NanospineError

__all__ = [
    "EXIT_BROKEN_PIPE",
    "EXIT_BUG",
    "EXIT_INPUT",
    "EXIT_INTERRUPTED",
    "EXIT_SOME_FAILED",
    "GuardedGroup",
]

EXIT_INPUT = 1
EXIT_SOME_FAILED = 3  # some inputs of several
EXIT_BUG = 70  # EX_SOFTWARE: not the input, nanospine itself is at fault
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141


class GuardedGroup(TyperGroup):
    """The group of all verbs: takes `--debug` at any place, and turns exceptions into exits."""

    _debug = False

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take `--debug` out, wherever it stands: people add it at the end of a failed line."""
        head = args[: args.index("--")] if "--" in args else args
        self._debug = "--debug" in head
        kept = [item for item in head if item != "--debug"] + args[len(head) :]
        return super().parse_args(ctx, kept)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; every way to fail ends in :class:`typer.Exit`."""
        with _guarded(debug=self._debug):
            result = super().invoke(ctx)
            sys.stdout.flush()  # a closed pipe must be met here, not when Python shuts down
            return result


@contextmanager
def _guarded(*, debug: bool) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        _silence_stdout()
        raise typer.Exit(EXIT_BROKEN_PIPE) from None
    except KeyboardInterrupt:
        _fail("interrupted; nothing half-written was left", EXIT_INTERRUPTED, debug, "stopped")
    except NanospineError as error:
        _fail(str(error), EXIT_INPUT, debug)
    except MemoryError:
        _fail(
            "there is not enough memory for this. Take fewer localizations ([[filter]] in a run's "
            "configuration) or a machine with more; `nanospine doctor` shows what is free.",
            EXIT_INPUT,
            debug,
        )
    except OSError as error:
        _fail(f"{error.filename or 'input/output'}: {error.strerror or error}.", EXIT_INPUT, debug)
    # The last line of defence: whatever it is, the user gets a sentence, not a traceback.
    except Exception as error:
        # Exit, Abort and UsageError of the command-line library mean what they say.
        if type(error).__module__.partition(".")[0] in ("typer", "click"):
            raise
        _bug(error, debug)


def _bug(error: Exception, debug: bool) -> None:
    text = " ".join(str(error).split())[:300]
    _fail(
        f"{type(error).__name__}: {text} This is a fault of nanospine, not of your file; the same "
        "command with --debug shows where.",
        EXIT_BUG,
        debug,
        "internal error",
    )


def _fail(message: str, code: int, debug: bool, kind: str = "error") -> None:
    if debug:
        traceback.print_exc(file=sys.stderr)
    typer.echo(f"nanospine: {kind}: {message}", err=True)
    raise typer.Exit(code) from None


def _silence_stdout() -> None:
    """Send what is still buffered to nowhere: Python flushes stdout once more when it ends."""
    with suppress(OSError, ValueError):
        devnull = os.open(os.devnull, os.O_WRONLY)
        os.dup2(devnull, sys.stdout.fileno())
        os.close(devnull)
