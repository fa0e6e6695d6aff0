"""The real command: killed at any moment, with bad files, in bad places."""

from __future__ import annotations

import hashlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest

from nanospine.batch.locks import folder_lock

SETTINGS = """
[batch]
sheet = "samples.csv"
[output]
folder = "experiment"
pictures = false
"""
TABLES = ("spines", "files", "units", "conditions", "comparisons")
ENVIRONMENT = os.environ | dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


def start(config: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "nanospine", "batch", str(config), *options],
        text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT,
        start_new_session=True, encoding="utf-8", errors="replace",
    )  # fmt: skip


def command(config: Path, *options: str) -> tuple[int, str, str]:
    process = start(config, *options)
    out, said = process.communicate(timeout=300)
    return process.returncode, out, said


def tables(config: Path) -> dict[str, str]:
    folder = config.parent / "experiment"
    paths = [folder / f"{name}{suffix}" for name in TABLES for suffix in (".csv", ".parquet")]
    paths += sorted(folder.glob("files/*/spines.*"))
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
    }


def test_killed_and_resumed_gives_the_same_bytes(
    undisturbed: tuple[Path, float], make: Callable[..., Path]
) -> None:
    whole, seconds = undisturbed
    config = make("killed")
    chance = random.Random(os.getpid())
    for whole_group in (False, True):
        process = start(config)
        moment = chance.uniform(0.2, 0.95) * seconds
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            if whole_group:
                os.killpg(process.pid, signal.SIGKILL)
            else:
                process.kill()
        process.communicate()
    code, out, said = command(config, "--json")
    assert code == 0, said
    assert tables(config) == tables(whole)
    folder = config.parent / "experiment"
    assert not list(folder.rglob(".*.part*"))
    # Done once, a file is not done again.
    again = json.loads(command(config, "--json")[1])
    assert again["n_worked"] == 0
    assert again["n_done"] == json.loads(out)["n_done"] == 3
    assert tables(config) == tables(whole)


def test_files_that_fail_are_listed_and_the_others_go_on(make: Callable[..., Path]) -> None:
    sheet = (
        "file,condition,animal\ndata/ball0.csv,a,m1\ndata/none.csv,a,m1\ndata/text.csv,b,m2\n"
        "data/b\xe4d.csv,b,m2\n"
    ).encode("latin-1")
    config = make(sheet="")
    data = config.parent / "data"
    (config.parent / "samples.csv").write_bytes(sheet)
    (data / "text.csv").write_text("no table at all")
    strange = os.fsencode(data / "b") + b"\xe4d.csv"
    try:
        (data / "ball1.csv").rename(os.fsdecode(strange))
    except OSError:
        pytest.skip("the file system takes names in UTF-8 only")
    code, out, said = command(config, "--jobs", "2", "--json")
    assert code == 3, said
    result = json.loads(out)
    assert {item["file"] for item in result["failed"]} == {"data/none.csv", "data/text.csv"}
    assert "does not exist" in result["failed"][0]["reason"]
    files = pd.read_csv(config.parent / "experiment" / "files.csv")
    assert files["status"].tolist() == ["done", "failed", "failed", "done"]
    assert files["file"][3] == "data/b\\xe4d.csv"
    assert files["n_localizations"][3] > 300
    page = (config.parent / "experiment" / "report.html").read_text(encoding="utf-8")
    assert "Files that failed" in page
    assert "data/none.csv" in page
    assert "left)" in said


def test_a_folder_held_by_another_batch_is_refused(make: Callable[..., Path]) -> None:
    config = make()
    folder = config.parent / "experiment"
    folder.mkdir()
    with folder_lock(folder):
        code, out, said = command(config)
    assert code == 1
    assert out == ""
    assert f"another batch is at work here (process {os.getpid()} on" in said


def test_usage_and_example(make: Callable[..., Path], tmp_path: Path) -> None:
    from nanospine.batch.settings import BATCH_EXAMPLE, BatchConfig

    path = tmp_path / "example.toml"
    path.write_text(BATCH_EXAMPLE)
    assert BatchConfig.from_toml(path).batch.sheet == "samples.csv"
    code, out, _ = command(Path("--example"))
    assert (code, out) == (0, BATCH_EXAMPLE)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB; only root can mount one."""
    place = tmp_path / "disk"
    place.mkdir()
    if not shutil.which("mount") or subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)],
        capture_output=True, check=False,
    ).returncode:  # fmt: skip
        pytest.skip("a small disk cannot be mounted here (needs root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_and_a_read_only_one_are_one_sentence(
    make: Callable[..., Path], tiny_disk: Path
) -> None:
    config = make(settings=SETTINGS.replace('"experiment"', f'"{tiny_disk}/experiment"'))
    (tiny_disk / "filler").write_bytes(b"x" * 2_500_000)
    code, _, said = command(config)
    assert code == 1, said
    assert re.search(r"the disk is full\. [0-2] of 3 files are done and kept", said)
    assert "Traceback" not in said
    assert not list(tiny_disk.rglob(".*.part*"))
    (tiny_disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,size=30m", str(tiny_disk)], check=True)
    code, _, said = command(config)
    assert code == 0, said
    subprocess.run(["mount", "-o", "remount,ro", str(tiny_disk)], check=True)
    code, _, said = command(config)
    assert code == 1
    assert "cannot be written" in said
    assert "Traceback" not in said
