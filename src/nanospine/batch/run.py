"""A whole experiment: every file once, then one table, statistics, figures and a report."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanospine.batch.ledger import Ledger, remove_leftovers
from nanospine.batch.locks import folder_lock, wait_for_workers
from nanospine.batch.samples import Sample, duplicates, find_samples
from nanospine.batch.settings import BatchConfig
from nanospine.batch.task import Outcome, Task, is_done, make_task
from nanospine.batch.workers import run_in_processes
from nanospine.core.errors import NanospineError, WriteError

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BatchResult", "Told", "run_batch"]

#: Called with the outcome of a file, how many files are through, and how many there are.
Told = Callable[[Sample, Outcome, int, int], None]

# With less than this no further result fits, and trying would cost hours for nothing.
_DISK_FULL_BYTES = 2_000_000


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What a batch gave.

    Attributes
    ----------
    folder : Path
        With `spines.parquet`, `files.csv`, the statistics, the figures, `report.html`, and the
        results of every file under `files/`.
    files : pandas.DataFrame
        One row per file: where it comes from, its status, what was found in it.
    spines : pandas.DataFrame
        One row per spine of all files.
    comparisons : pandas.DataFrame
        Differences between conditions, animals as observations.
    notes : tuple of str
        What a reader of the statistics must know.
    n_worked : int
        Files that were worked on now; the others were done before.
    """

    folder: Path
    files: pd.DataFrame
    spines: pd.DataFrame
    comparisons: pd.DataFrame
    notes: tuple[str, ...]
    n_worked: int

    @property
    def failed(self) -> pd.DataFrame:
        """The files without a result, and why."""
        return self.files[self.files["status"] != "done"]

    def to_frame(self) -> pd.DataFrame:
        """Give the table of all spines as a copy that may be changed."""
        return self.spines.copy()

    def to_dict(self) -> dict[str, Any]:
        """Give a summary as JSON can hold it."""
        failed = self.failed[["file", "status", "reason"]].to_dict("records")
        return {
            "folder": str(self.folder),
            "n_files": len(self.files),
            "n_done": int((self.files["status"] == "done").sum()),
            "n_worked": self.n_worked,
            "n_spines": len(self.spines),
            "failed": failed,
            "notes": list(self.notes),
        }


def run_batch(
    config: BatchConfig,
    *,
    jobs: int | None = None,
    scheduler: str | None = None,
    told: Told | None = None,
) -> BatchResult:
    """Work on every file of an experiment that is not done, then put all results together.

    A file is done when its folder holds a result for the same content, configuration and version
    of nanospine. A file that fails is reported and tried again the next time; the others go on.

    Parameters
    ----------
    config : BatchConfig
        What to do.
    jobs : int, optional
        Processes at a time, in place of the configuration's.
    scheduler : str, optional
        Address of a dask scheduler (`tcp://host:8786`), or "local" for one on this machine, whose
        workers see the same files.
    told : callable, optional
        Called after every file.

    Raises
    ------
    ConfigError, SchemaError
        When no files are found or the sample sheet is at fault.
    WriteError
        When the folder is held by another batch, holds something else, or cannot be written to.
    """
    samples = find_samples(config)
    folder = config.folder
    _check_folder(folder)
    with folder_lock(folder):
        wait_for_workers(folder)
        remove_leftovers(folder, folder / "files", folder / "figures")
        (folder / "files").mkdir(exist_ok=True)
        ledger = Ledger(folder)
        ledger.keep(sample.name for sample in samples)
        plan = _Plan(samples, ledger, told)
        tasks = plan.tasks(config)
        number = jobs or config.batch.jobs
        _work(plan, tasks, config, number, scheduler)
        return _put_together(config, plan, len(tasks))


class _Plan:
    """Which files there are, and what has become of each."""

    def __init__(self, samples: list[Sample], ledger: Ledger, told: Told | None) -> None:
        self.samples = samples
        self.ledger = ledger
        self.told = told
        self.outcomes: dict[str, Outcome] = {}
        self.sums = dict.fromkeys((sample.name for sample in samples), "")
        self._keys: dict[str, str] = {}
        self._by_name = {sample.name: sample for sample in samples}

    def tasks(self, config: BatchConfig) -> list[Task]:
        """Give what must be done; what is done or cannot be read is noted."""
        wanted = []
        for sample in self.samples:
            try:
                task = make_task(sample, config.run, config.folder / "files")
            except NanospineError as error:
                self.note(Outcome(sample.name, "failed", str(error), type(error).__name__))
                continue
            self.sums[sample.name] = task.input_sha256
            self._keys[sample.name] = task.key
            if is_done(task):
                # Whatever the ledger says: the folder is the record.
                self.outcomes[sample.name] = Outcome(sample.name, "done")
            else:
                wanted.append(task)
        return wanted

    def note(self, outcome: Outcome) -> None:
        """Take an outcome into the ledger and tell it."""
        sample = self._by_name[outcome.name]
        self.outcomes[outcome.name] = outcome
        self.ledger.write(outcome, file=sample.file, key=self._keys.get(outcome.name, ""))
        if self.told is not None:
            self.told(sample, outcome, len(self.outcomes), len(self.samples))


def _work(
    plan: _Plan, tasks: Sequence[Task], config: BatchConfig, jobs: int, scheduler: str | None
) -> None:
    if not tasks:
        return
    outcomes: Iterator[Outcome]
    if scheduler is not None:
        from nanospine.batch.cluster import run_on_cluster

        outcomes = run_on_cluster(tasks, address=scheduler, jobs=jobs)
    else:
        outcomes = run_in_processes(
            tasks,
            jobs=min(jobs, len(tasks)),
            memory_gb=config.batch.memory_gb,
            timeout_min=config.batch.timeout_min,
            lock_folder=config.folder,
        )
    try:
        for outcome in outcomes:
            plan.note(outcome)
            if outcome.status == "failed":
                _stop_on_full_disk(config.folder, plan)
    finally:
        close = getattr(outcomes, "close", None)
        if close is not None:
            close()
        place = config.folder
        remove_leftovers(place, place / "files", place / "figures")


def _stop_on_full_disk(folder: Path, plan: _Plan) -> None:
    if shutil.disk_usage(folder).free < _DISK_FULL_BYTES:
        done = sum(item.status == "done" for item in plan.outcomes.values())
        raise WriteError(
            f"{folder}: the disk is full. {done} of {len(plan.samples)} files are done and kept; "
            "make room and run the same command again, it does the rest."
        )


def _put_together(config: BatchConfig, plan: _Plan, n_worked: int) -> BatchResult:
    from nanospine.batch.figures import write_figures
    from nanospine.batch.groups import compare_conditions
    from nanospine.batch.report import write_batch_report
    from nanospine.batch.tables import gather, write_table

    folder = config.folder
    files, spines = gather(plan.samples, plan.outcomes, folder / "files")
    groups = compare_conditions(
        files, spines, unit=config.statistics.unit, paired=config.statistics.paired
    )
    sums = [plan.sums[sample.name] for sample in plan.samples]
    notes = (*duplicates(plan.samples, sums), *groups.notes)
    try:
        for name, table in (
            ("spines", spines), ("files", files), ("units", groups.units),
            ("conditions", groups.conditions), ("comparisons", groups.comparisons),
        ):  # fmt: skip
            write_table(table, folder / name)
        figures = write_figures(spines, groups, folder / "figures")
        result = BatchResult(folder, files, spines, groups.comparisons, notes, n_worked)
        write_batch_report(result, groups, figures, config, folder / "report.html")
    except OSError as error:
        raise WriteError(f"{folder}: cannot be written: {error.strerror or error}.") from error
    return result


def _check_folder(folder: Path) -> None:
    """Refuse a folder that holds something else, or that cannot be written to."""
    if folder.exists() and not folder.is_dir():
        raise WriteError(f"{folder}: is a file; name a folder for the results.")
    if folder.is_dir():
        held = {item.name for item in folder.iterdir() if not item.name.startswith(".")}
        if held and not held & {"ledger.json", "files"}:
            raise WriteError(
                f"{folder}: holds files that are not of a nanospine batch; they are left alone. "
                "Name another folder."
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: cannot be made: {error.strerror or error}.") from error
    if not os.access(folder, os.W_OK | os.X_OK):
        raise WriteError(f"{folder}: cannot be written to; give yourself the right, or move it.")
