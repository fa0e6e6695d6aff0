"""Workers die, hang and eat memory: the one file fails, the others go on."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from nanospine.batch.samples import Sample
from nanospine.batch.task import Outcome, Task
from nanospine.batch.workers import run_in_processes, threads_each
from nanospine.config import RunConfig


def tasks(*names: str) -> list[Task]:
    config = RunConfig.from_dict({"input": {"path": "a"}, "output": {"folder": "b"}})
    return [Task(Sample(name, name, Path(name)), config, "", "") for name in names]


@pytest.fixture
def outcomes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from batch_work import work  # type: ignore[import-not-found]

    def run(*names: str, **options: Any) -> dict[str, Outcome]:
        found = list(run_in_processes(tasks(*names), work=work, **options))
        assert len(found) == len(names)
        return {item.name: item for item in found}

    return run


def test_a_worker_that_dies_fails_its_file_and_no_other(outcomes: Any) -> None:
    found = outcomes("die1", "b", "exit", "d", "die2", "f", jobs=2)
    assert {name for name, item in found.items() if item.status == "done"} == {"b", "d", "f"}
    assert "SIGKILL" in found["die1"].reason
    assert "memory ran out" in found["die2"].reason
    assert "ended with code 7" in found["exit"].reason
    assert found["exit"].kind == "WorkerDied"


def test_a_file_that_takes_too_long_is_given_up(outcomes: Any) -> None:
    found = outcomes("sleep", "b", jobs=2, timeout_min=0.1)
    assert found["sleep"].kind == "Timeout"
    assert "given up after 0.1 minutes" in found["sleep"].reason
    assert found["b"].status == "done"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the limit is Linux's")
def test_a_worker_gets_no_more_than_its_budget(outcomes: Any) -> None:
    found = outcomes("greedy", "b", jobs=1, memory_gb=1.5)
    assert found["greedy"].kind == "MemoryError"
    assert found["b"].status == "done"


def test_workers_share_the_threads_and_leave_the_environment_alone(
    outcomes: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NUMBA_NUM_THREADS", "64")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    found = outcomes("a", "b", "c", jobs=2)
    assert {item.reason.split()[0] for item in found.values()} == {str(threads_each(2))}
    assert len({item.reason.split()[1] for item in found.values()}) <= 2
    assert os.environ["NUMBA_NUM_THREADS"] == "64"
    assert "OMP_NUM_THREADS" not in os.environ


def test_who_stops_listening_ends_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    from batch_work import work

    running = run_in_processes(tasks("a", "sleep"), jobs=2, work=work)
    worker = int(next(running).reason.split()[1])
    running.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)
