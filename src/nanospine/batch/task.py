"""One file of a batch: what is to be done, doing it, and what came of it.

The folder of results is the record that a file is done: it appears whole, with the key of what
was asked in it, or not at all. So a run that is killed at any moment loses nothing but the files
it was just at.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nanospine.batch.samples import Sample, shown_name
from nanospine.config import RunConfig
from nanospine.core.errors import NanospineError, ReadError
from nanospine.core.files import input_sha256_of, read_json, sha256_of
from nanospine.version import __version__

__all__ = ["STAMP", "Outcome", "Task", "input_sum", "is_done", "make_task", "run_task"]

#: Name of the record in a file's folder.
STAMP = "batch.json"
_TABLE = "spines.parquet"


@dataclass(frozen=True)
class Task:
    """A file, what is done with it, and where its results go.

    `key` is the SHA-256 of the input's content, the configuration and the version of nanospine:
    the same key, the same result.
    """

    sample: Sample
    config: RunConfig
    input_sha256: str
    key: str

    @property
    def name(self) -> str:
        """Name of the sample."""
        return self.sample.name

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return self.config.output_folder


@dataclass(frozen=True)
class Outcome:
    """What came of one file.

    Attributes
    ----------
    status : str
        "done", "failed", or "not tried" (the batch was stopped before).
    reason : str
        Why it failed, in one sentence.
    kind : str
        Name of the error, "" without.
    seconds : float
        Wall time.
    peak_memory_mb : float
        Most memory that the process had meanwhile; NaN where the system does not say.
    trace : str
        Traceback of an error that nanospine is at fault for.
    """

    name: str
    status: str
    reason: str = ""
    kind: str = ""
    seconds: float = 0.0
    peak_memory_mb: float = float("nan")
    trace: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Give what the ledger holds."""
        return asdict(self)


def make_task(sample: Sample, template: RunConfig, folder: Path) -> Task:
    """Make the task of one file.

    Raises
    ------
    ReadError
        When the file cannot be read.
    """
    digest = input_sum(sample.path)
    shown = template.model_dump(mode="json")
    asked = {name: value for name, value in shown.items() if name != "output"}
    asked["input"] = {name: value for name, value in asked["input"].items() if name != "path"}
    asked["output"] = [template.output.pictures, *template.output.formats]
    text = json.dumps([digest, asked, __version__], sort_keys=True)
    config = template.model_copy(
        update={
            "input": template.input.model_copy(update={"path": shown_name(sample.path.absolute())}),
            "output": template.output.model_copy(
                # An earlier result with another key may be replaced; other people's files not.
                update={"folder": str(folder.absolute() / sample.name), "overwrite": True}
            ),
        }
    )
    return Task(sample, config, digest, hashlib.sha256(text.encode()).hexdigest())


def input_sum(path: Path) -> str:
    """Give the SHA-256 of a file, with those of the files beside it that belong to it.

    Raises
    ------
    ReadError
        When it is missing or must not be read.
    """
    if not path.exists():
        raise ReadError(f"{shown_name(path)}: does not exist.")
    try:
        sums = [input_sha256_of(path), *(sha256_of(item) for item in _beside(path))]
    except OSError as error:
        raise ReadError(f"{shown_name(path)}: cannot be read: {error.strerror}.") from error
    return sums[0] if len(sums) == 1 else hashlib.sha256("".join(sums).encode()).hexdigest()


def is_done(task: Task) -> bool:
    """Whether the folder of a task holds its result, for this very key, undamaged."""
    try:
        stamp = read_json(task.folder / STAMP)
        return bool(
            stamp["key"] == task.key and stamp["tables"][_TABLE] == sha256_of(task.folder / _TABLE)
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def run_task(task: Task) -> Outcome:
    """Do one task; whatever happens to it is an outcome, never an exception."""
    start = time.perf_counter()
    _reset_peak_memory()
    status, reason, kind, trace = "failed", "", "", ""
    try:
        _work(task)
        status = "done"
    except NanospineError as error:
        reason, kind = str(error), type(error).__name__
    except MemoryError:
        kind = "MemoryError"
        reason = (
            "needs more memory than it may take. Give it more ([batch] memory_gb, or fewer jobs), "
            "or take fewer localizations ([[filter]])."
        )
    except OSError as error:
        reason, kind = f"{error.filename or 'files'}: {error.strerror or error}.", "OSError"
    # One file must not take the others with it, whatever is wrong.
    except Exception as error:  # noqa: BLE001
        kind, trace = type(error).__name__, traceback.format_exc()
        text = " ".join(str(error).split())[:300]
        reason = f"{kind}: {text} This is a fault of nanospine; the ledger holds the traceback."
    if reason and kind != "MemoryError":
        reason += _budget_hint()
    return Outcome(
        task.sample.name,
        status,
        reason,
        kind,
        time.perf_counter() - start,
        _peak_memory_mb(),
        trace,
    )


def _work(task: Task) -> None:
    from nanospine.pipeline import run

    def stamp(folder: Path) -> None:
        if input_sum(task.sample.path) != task.input_sha256:
            raise ReadError(
                f"{task.sample.file}: changed while it was worked on; run the batch again when "
                "whoever writes it is done."
            )
        record = {
            "key": task.key,
            "file": task.sample.file,
            "input_sha256": task.input_sha256,
            "tables": {_TABLE: sha256_of(folder / _TABLE)},
        }
        (folder / STAMP).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    with _readable_name(task) as config:
        run(config, also_write=stamp)


@contextmanager
def _readable_name(task: Task) -> Iterator[RunConfig]:
    """Give the configuration, with a link in place of a name that is no UTF-8.

    JSON, HTML and the tables that are written can hold no such name.
    """
    path = task.sample.path.absolute()
    if shown_name(path) == str(path).replace(os.sep, "/"):
        yield task.config
        return
    with tempfile.TemporaryDirectory(prefix="nanospine-") as name:
        link = Path(name) / (task.sample.name + path.suffix.encode("ascii", "ignore").decode())
        link.symlink_to(path)
        for item in _beside(path):
            (Path(name) / item.name.replace(path.stem, task.sample.name)).symlink_to(item)
        source = task.config.input.model_copy(update={"path": str(link)})
        yield task.config.model_copy(update={"input": source})


def _beside(path: Path) -> list[Path]:
    """Files beside a table that readers look into: Picasso's and ThunderSTORM's protocols."""
    names = (f"{path.stem}.yaml", f"{path.stem}.yml", f"{path.stem}-protocol.txt")
    return [path.parent / name for name in names if (path.parent / name).is_file()]


def _budget_hint() -> str:
    """Say when the process is near its limit: libraries then blame the file, or a thread."""
    try:
        import resource

        limit = resource.getrlimit(resource.RLIMIT_DATA)[0]
        used = 1024 * int(_status("VmData"))
    except (ImportError, AttributeError, OSError, ValueError):
        return ""
    if limit in (-1, resource.RLIM_INFINITY) or used < 0.7 * limit:
        return ""
    return (
        f" The process had {used / 1e9:.2f} of the {limit / 1e9:.2f} GB that it may take, so this "
        "may well be a lack of memory: raise [batch] memory_gb."
    )


def _status(name: str) -> str:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return line.split()[1]
    raise ValueError(name)


def _reset_peak_memory() -> None:
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory_mb() -> float:
    with suppress(OSError, ValueError):
        return int(_status("VmHWM")) / 1024
    return float("nan")
