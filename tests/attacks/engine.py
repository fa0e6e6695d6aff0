"""Runs the cases of an attack in forked children, counts their outcomes, and can be resumed.

An attack is a class with `prepare` (imports and specimens, once, in the parent) and `attack`
(one case, given by its number and the seed alone, so that a failure is repeated by its number).
The parent forks a child for a block of cases, because a decoder in C may crash or hang: the
child writes each outcome into shared memory, so nothing is lost with it, and the parent names the
case it was at and goes on behind it. After each block the counts are written under a temporary
name and renamed; a killed run goes on from there.
"""

from __future__ import annotations

import argparse
import gc
import json
import mmap
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

MEMORY_BYTES = 2 << 30
CPU_SECONDS = 20
WALL_SECONDS = 300  # a wait that is not work; far more than the CPU limit on a busy machine
BLOCK = 4000
SLOW = "(too slow)"
RESULT, REFUSED, OTHER = "result", "refused", "other"
OUTCOMES = (RESULT, REFUSED, OTHER)


class Attack(Protocol):
    """What an attack gives: names of its rows, and one case."""

    title: str
    result: str
    refusal: str

    def prepare(self) -> list[str]:
        """Import everything and make the specimens; give the names of the rows of the table."""

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        """Run one case: (row, outcome, what was wrong or nothing)."""


@dataclass
class Counts:
    """Where a run stands: what the file of counts holds."""

    title: str
    seed: int
    next: int = 0
    seconds: float = 0.0
    rows: dict[str, list[int]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def executions(self) -> int:
        return sum(sum(row) for row in self.rows.values())

    def save(self, path: Path) -> None:
        part = path.with_name(f".{path.name}.part")
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(path)

    def table(self, result: str, refusal: str) -> str:
        head = (self.title, "executions", result, refusal, "other")
        lines = [f"| {' | '.join(head)} |", "|---|" + 4 * "---:|"]
        total = np.zeros(3, int)
        for name, row in sorted(self.rows.items()):
            cells = [f"{value:,}" for value in (sum(row), *row)]
            if sum(row):
                lines.append(f"| {name} | {' | '.join(cells)} |")
                total += row
        lines.append(f"| all | {total.sum():,} | " + " | ".join(f"{n:,}" for n in total) + " |")
        return "\n".join(lines)


class TooSlow(BaseException):
    """A case took longer than it may."""


def _too_slow(*_: object) -> None:
    raise TooSlow


def guarded(
    call: Callable[[], Any], allowed: tuple[type[Exception], ...], row: str
) -> tuple[str, str, str]:
    """Call; a result or a refusal with a message is allowed, anything else is a fault."""
    try:
        fault = call()
    except allowed as error:
        said = str(error)
        return (row, REFUSED, "") if said else (row, OTHER, "an error without a message")
    except MemoryError:
        return row, OTHER, f"MemoryError: {_last_line()}"
    except Exception as error:  # noqa: BLE001 - that is the point
        return row, OTHER, f"{type(error).__name__}: {str(error)[:200]} ({_last_line()})"
    return (row, RESULT, "") if fault is None else (row, OTHER, str(fault))


def _last_line() -> str:
    """Say where in nanospine an error came from."""
    frames = traceback.extract_tb(sys.exc_info()[2])
    ours = [item for item in frames if "nanospine" in item.filename] or list(frames)
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "?"


def fast_folder() -> str | None:
    """Give a folder in memory where there is one: a million small files wear a disk."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def run(
    attack: Attack, n: int, seed: int, first: int = 0, state: Path | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Counts:  # fmt: skip
    """Run the cases first .. first + n; with a state file, go on where it ends."""
    counts = Counts(attack.title, seed, first)
    if state is not None and state.is_file():
        counts = Counts(**json.loads(state.read_text()))
        if (counts.title, counts.seed) != (attack.title, seed):
            raise SystemExit(f"{state}: belongs to {counts.title}, seed {counts.seed}")
    rows = [*attack.prepare(), SLOW]
    gc.collect()
    gc.freeze()  # children need not look through what is here already
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        while counts.next < first + n:
            begin = time.monotonic()
            stop = min(counts.next + BLOCK, first + n)
            counts.next = _block(attack, rows, counts, stop)
            counts.seconds += time.monotonic() - begin
            if state is not None:
                counts.save(state)
            tell(f"{counts.next:,} of {first + n:,}, {len(counts.faults)} faults, "
                 f"{counts.executions / max(counts.seconds, 1e-9):.0f} a second")  # fmt: skip
    return counts


def _block(attack: Attack, rows: list[str], counts: Counts, stop: int) -> int:
    """Run a block in a child; give the number of the case after the last one that was run."""
    start = counts.next
    with (
        mmap.mmap(-1, 4 * (stop - start) + 8) as shared,
        tempfile.TemporaryDirectory(dir=fast_folder()) as name,
    ):
        said = Path(name) / "faults"
        child = os.fork()
        if child == 0:
            try:
                _child(attack, rows, counts.seed, start, stop, shared, Path(name))
            except BaseException as error:  # noqa: BLE001 - said, then the child ends
                line = traceback.extract_tb(error.__traceback__)[-1]
                with said.open("a") as file:
                    file.write(f"the attack itself failed: {error!r} {line}\n")
                os._exit(1)
            os._exit(0)
        status = _watch(child, shared)
        done = np.frombuffer(shared[8:], np.uint16).reshape(-1, 2)
        ran = int((done[:, 1] > 0).sum())
        for row, outcome in done[:ran]:
            counts.rows.setdefault(rows[row], [0, 0, 0])[outcome - 1] += 1
        counts.faults += said.read_text().splitlines() if said.exists() else []
    if status == 0:
        return stop
    what = "hangs in a library" if status is None else f"the process ended with {status}"
    counts.faults.append(f"{start + ran}: {what}")
    counts.rows.setdefault("(the process ended)", [0, 0, 0])[2] += 1
    return start + ran + 1


def _watch(child: int, shared: mmap.mmap) -> int | None:
    """Wait for a child; end it when it stays at one case far longer than its own alarm allows."""
    at, since, pause = b"", time.monotonic(), 0.01
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if shared[:8] != at:
            at, since = shared[:8], time.monotonic()
        elif time.monotonic() - since > WALL_SECONDS:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(pause)
        pause = min(2 * pause, 0.25)


def _child(
    attack: Attack, rows: list[str], seed: int, start: int, stop: int, shared: mmap.mmap,
    folder: Path,
) -> None:  # fmt: skip
    """Run the cases of a block under the limits."""
    index = {name: number for number, name in enumerate(rows)}
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY_BYTES, used + MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGPROF, _too_slow)
    place = folder / "work"
    for number in range(start, stop):
        place.mkdir(exist_ok=True)
        shared[:8] = number.to_bytes(8, "little")
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
        try:
            row, outcome, fault = attack.attack(number, seed, place)
        except TooSlow:
            row, outcome, fault = SLOW, OTHER, f"more than {CPU_SECONDS} s of CPU"
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        if number % 50 == 0:
            gc.collect()  # where spoiled memory shows itself
        if fault:
            with (folder / "faults").open("a") as file:
                file.write(f"{number} {row}: {fault}\n".replace("\n", " ").strip() + "\n")
        at = 8 + 4 * (number - start)
        shared[at : at + 4] = np.array(
            [index[row], OUTCOMES.index(outcome) + 1], np.uint16
        ).tobytes()
        _empty(place)


def _empty(folder: Path) -> None:
    for item in os.scandir(folder):
        if item.is_dir(follow_symlinks=False):
            shutil.rmtree(item.path)
        else:
            Path(item.path).unlink()


def command(attack: Attack, n: int = 20_000) -> int:
    """Run an attack from the command line."""
    parser = argparse.ArgumentParser(description=f"Attack {attack.title}.")
    parser.add_argument("--n", type=int, default=n, help="number of cases")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--state", type=Path, help="file of counts; a killed run goes on from it")
    options = parser.parse_args()

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)  # noqa: T201

    counts = run(attack, options.n, options.seed, options.first, options.state, tell)
    print("\n".join(counts.faults))  # noqa: T201
    print(counts.table(attack.result, attack.refusal))  # noqa: T201
    never = [name for name, row in counts.rows.items() if sum(row) > 200 and not row[0]]
    if never:  # an attack that never comes through tests nothing behind the door
        print(f"Not one result of: {', '.join(sorted(never))}.")  # noqa: T201
    print(  # noqa: T201
        f"seed {options.seed}: {counts.executions:,} executions, {len(counts.faults)} faults, "
        f"{counts.seconds:.0f} s"
    )
    return 1 if counts.faults else 0
