"""Faults around the real command: two at once, clocks, truncated inputs, full disks, no memory."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

pytestmark = pytest.mark.slow
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits are of Linux")
ENVIRONMENT = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
TABLES = ("spines", "files", "units", "conditions", "comparisons")
# A clock on the wall that goes back an hour with every look at it, in the command and its workers.
CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
int clock_gettime(clockid_t id, struct timespec *t) {
    static int (*real)(clockid_t, struct timespec *);
    static long looks;
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int failed = real(id, t);
    if (!failed && id == CLOCK_REALTIME)
        t->tv_sec = (getenv("LATE") ? 1900000000L : 1000000000L)
                    - 3600 * (__sync_fetch_and_add(&looks, 1) % 200000);
    return failed;
}
"""


def start(*words: str, environment: dict[str, str] | None = None,
          before: Callable[[], None] | None = None) -> subprocess.Popen[str]:  # fmt: skip
    return subprocess.Popen(
        [sys.executable, "-m", "nanospine", *words],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
        errors="replace", env=ENVIRONMENT | (environment or {}), preexec_fn=before,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, said = process.communicate(timeout=300)
    assert "Traceback" not in said
    return process.returncode, out, said


def sums(config: Path) -> dict[str, str]:
    folder = config.parent / "experiment"
    paths = [folder / f"{name}{suffix}" for name in TABLES for suffix in (".csv", ".parquet")]
    paths += sorted(folder.glob("files/*/spines.*"))
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def test_two_commands_at_once_in_one_folder(make: Callable[..., Path]) -> None:
    """One works, the other is refused; afterwards the folder is whole."""
    config = make()
    both = [start("batch", str(config), "--json") for _ in range(2)]
    codes = []
    for process in both:
        code, _, said = ended(process)
        codes.append(code)
        if code:
            assert re.search(r"another batch is at work here \(process \d+ on .*, since", said)
    # On a busy machine the second may come when the first is done already.
    assert sorted(codes) in ([0, 1], [0, 0])
    assert len(sums(config)) > 10
    assert not list(config.parent.rglob(".*.part*"))


def test_a_clock_that_goes_backwards(make: Callable[..., Path], tmp_path: Path) -> None:
    """What is done is known by content: no time stamp decides, whatever the clock says."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler to make a clock with")
    (tmp_path / "clock.c").write_text(CLOCK)
    made = [compiler, "-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"]
    subprocess.run(made, cwd=tmp_path, check=True)
    clock = {"LD_PRELOAD": str(tmp_path / "clock.so")}
    look = [sys.executable, "-c", "import datetime as d; print(d.datetime.now().year)"]
    year = subprocess.run(look, env=ENVIRONMENT | clock, capture_output=True, text=True, check=True)
    assert year.stdout.strip() == "2001"
    config = make(sheet="file\ndata/ball0.csv\ndata/ball1.csv\n")
    code, out, said = ended(
        start("batch", str(config), "--json", environment=clock | {"LATE": "1"})
    )
    assert code == 0, said
    assert json.loads(out)["n_worked"] == 2
    whole = sums(config)
    # A new file, a clock that is 28 years back, and outputs that are of the future.
    (config.parent / "samples.csv").write_text("file\ndata/ball0.csv\ndata/ball1.csv\n"
                                               "data/ball2.csv\n")  # fmt: skip
    future = time.time() + 1e8
    for item in (config.parent / "experiment").rglob("*"):
        os.utime(item, (future, future))
    code, out, said = ended(start("batch", str(config), "--json", environment=clock))
    assert code == 0, said
    assert json.loads(out)["n_worked"] == 1
    assert json.loads(out)["n_done"] == 3
    files = pd.read_csv(config.parent / "experiment" / "files.csv")
    assert (files["status"] == "done").all()
    of_files = {name: digest for name, digest in whole.items() if name.startswith("files/")}
    assert of_files.items() <= sums(config).items()


def test_an_input_that_is_cut_while_the_command_works(
    make: Callable[..., Path], undisturbed: tuple[Path, float]
) -> None:
    """Cut at some moment: the file is done as it was, or it failed; the next run completes."""
    config = make()
    victim = config.parent / "data" / "ball2.csv"
    whole = victim.read_bytes()
    process = start("batch", str(config), "--json")
    folder = config.parent / "experiment"
    end = time.monotonic() + 120
    while process.poll() is None and not (folder / "files").is_dir() and time.monotonic() < end:
        time.sleep(0.01)
    with victim.open("r+b") as file:
        file.truncate(len(whole) // 2 + 7)
    code, out, _ = ended(process)
    result = json.loads(out)
    if code == 3:
        assert [item["file"] for item in result["failed"]] == ["data/ball2.csv"]
        assert len(result["failed"][0]["reason"]) > 20
    else:
        assert code == 0
    victim.write_bytes(whole)
    code, _, said = ended(start("batch", str(config)))
    assert code == 0, said
    assert sums(config) == sums(undisturbed[0])


@linux
def test_files_that_cannot_grow(make: Callable[..., Path]) -> None:
    """A limit on the size of files is a disk that is full for large files alone."""
    import resource
    import signal

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # then a write fails as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (60 * 1024,) * 2)

    config = make(sheet="file\ndata/ball0.csv\n")
    code, out, said = ended(start("batch", str(config), "--json", before=limited))
    assert code in (1, 3), said
    told = said + out
    assert re.search(r"File too large|disk is full|cannot be written", told), told
    assert not list((config.parent / "experiment").rglob(".*.part*"))
    code, _, said = ended(start("batch", str(config)))
    assert code == 0, said


@linux
def test_a_worker_without_memory_fails_its_file_and_says_what_to_do(
    make: Callable[..., Path],
) -> None:
    """Millions of localizations in a budget for none of them, beside a file that needs none."""
    settings = '[batch]\nsheet = "samples.csv"\nmemory_gb = 0.7\n[output]\nfolder = "experiment"\n'
    config = make(sheet="file\ndata/ball0.csv\ndata/large.csv\n",
                  settings=settings + "pictures = false\n")  # fmt: skip
    row = b"1234.5678,2345.6789,345.67890,1\n"
    with (config.parent / "data" / "large.csv").open("wb") as file:
        file.write(b"x [nm],y [nm],z [nm],frame\n")
        for _ in range(60):
            file.write(row * 40_000)
    code, out, said = ended(start("batch", str(config), "--json"))
    assert code == 3, said
    failed = {item["file"]: item["reason"] for item in json.loads(out)["failed"]}
    assert list(failed) == ["data/large.csv"]
    assert "memory" in failed["data/large.csv"]
    assert re.search("memory_gb", failed["data/large.csv"])
    (config.parent / "data" / "large.csv").unlink()
    shutil.copy(config.parent / "data" / "ball1.csv", config.parent / "data" / "large.csv")
    assert ended(start("batch", str(config)))[0] == 0
