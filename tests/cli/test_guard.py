"""Every way to fail ends in one sentence and an exit code that means something."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from nanospine.cli.guard import GuardedGroup
from nanospine.core.errors import ReadError


def failing(error: BaseException) -> typer.Typer:
    """A program whose only verb fails with `error`."""
    program = typer.Typer(cls=GuardedGroup, pretty_exceptions_enable=False)

    @program.callback()
    def common(debug: bool = False) -> None:
        pass

    @program.command("fail")
    def fail() -> None:
        raise error

    return program


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (ReadError("roi.csv: is empty."), 1, "nanospine: error: roi.csv: is empty.\n"),
        (MemoryError(), 1, "nanospine: error: there is not enough memory"),
        (KeyboardInterrupt(), 130, "nanospine: stopped: interrupted"),
        (PermissionError(13, "Permission denied", "a.csv"), 1, "a.csv: Permission denied"),
        (ZeroDivisionError("division by zero"), 70, "internal error: ZeroDivisionError"),
        (RuntimeError("odd"), 70, "internal error: RuntimeError: odd"),
        (BrokenPipeError(), 141, ""),
        (typer.Exit(3), 3, ""),
        (typer.BadParameter("no"), 2, "no"),
    ],
    ids=lambda item: type(item).__name__ if isinstance(item, BaseException) else None,
)
def test_failure_gives_code_and_sentence(error: BaseException, code: int, said: str) -> None:
    result = CliRunner().invoke(failing(error), ["fail"])
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("line", [["--debug", "fail"], ["fail", "--debug"]], ids=" ".join)
def test_debug_shows_the_traceback_wherever_it_stands(line: list[str]) -> None:
    result = CliRunner().invoke(failing(ReadError("roi.csv: is empty.")), line)
    assert result.exit_code == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("nanospine: error: roi.csv: is empty.\n")


@pytest.mark.skipif(os.name != "posix", reason="pipes and signals of POSIX")
def test_a_closed_pipe_ends_quietly(tmp_path: Path) -> None:
    file = tmp_path / "roi.csv"
    file.write_text("x [nm],y [nm]\n" + "".join(f"{i},{i}\n" for i in range(50)))
    program = [sys.executable, "-m", "nanospine", "inspect", str(file)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert said == b""
    assert process.returncode in (141, -signal.SIGPIPE)


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_a_batch_system_that_stops_us_leaves_nothing_half_written(tmp_path: Path) -> None:
    program = (
        "import os, signal, time\n"
        "from nanospine.cli.app import _terminate\n"
        "from nanospine.core.folders import atomic_folder\n"
        "signal.signal(signal.SIGTERM, _terminate)\n"
        f"with atomic_folder({str(tmp_path / 'out')!r}) as folder:\n"
        "    (folder / 'half').write_text('')\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(20)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False)
    assert done.returncode == 128 + signal.SIGTERM
    assert list(tmp_path.iterdir()) == []
