"""Sheets and patterns, good and bad; what is done, and the lock."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from nanospine.batch.ledger import Ledger
from nanospine.batch.locks import folder_lock
from nanospine.batch.run import run_batch
from nanospine.batch.samples import duplicates, find_samples
from nanospine.batch.settings import BatchConfig
from nanospine.batch.task import Outcome, input_sum, is_done, make_task, run_task
from nanospine.core.errors import ConfigError, NanospineError, ReadError, SchemaError, WriteError
from nanospine.core.folders import atomic_folder


def config(place: Path, sheet: str | bytes | None = None, **batch: Any) -> BatchConfig:
    if sheet is not None:
        raw = sheet if isinstance(sheet, bytes) else sheet.encode()
        (place / "samples.csv").write_bytes(raw)
        batch["sheet"] = "samples.csv"
    return BatchConfig.from_dict({"batch": batch, "output": {"folder": "out"}}, base_folder=place)


@pytest.mark.parametrize(
    "sheet",
    [
        "file,condition,animal\na.csv,x,1\nd/b.csv,y,2\n",
        b"\xef\xbb\xbffile;Condition;animal\r\na.csv;x;1\r\n\r\nd/b.csv;y;2\r\n",
        "animal\tcondition\tPath\n1\tx\ta.csv\n2\ty\td/b.csv",
        'file,genotype,mouse,remark\na.csv,x,1,"one, two"\nd/b.csv,y,2,\n',
    ],
    ids=["plain", "BOM, semicolons, CRLF", "tabs, other order", "other names, more columns"],
)
def test_sheets_as_people_write_them(sheet: str | bytes, tmp_path: Path) -> None:
    found = find_samples(config(tmp_path, sheet))
    assert [item.file for item in found] == ["a.csv", "d/b.csv"]
    assert [(item.condition, item.animal, item.culture) for item in found] == [
        ("x", "1", ""), ("y", "2", ""),
    ]  # fmt: skip
    assert [item.path for item in found] == [tmp_path / "a.csv", tmp_path / "d" / "b.csv"]
    assert found[1].name.startswith("b-")


@pytest.mark.parametrize(
    ("sheet", "message"),
    [
        ("", "expected the columns file"),
        ("condition,animal\nx,1\n", "found 'condition', 'animal'"),
        ("file,file\na,b\n", "none twice"),
        ("file,animal\na.csv\nb.csv,1,2\n", "2 faults:\n  - row 2: 1 cells"),
        ("file,animal\na.csv,1\na.csv,2\n,3\n", "row 3: a.csv is already in row 2"),
        ("file\n", "has no rows"),
        ('file,animal\n"a.csv,1\n', "is not a csv table"),
    ],
)
def test_bad_sheets_are_refused_with_all_their_faults(
    sheet: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaError) as caught:
        find_samples(config(tmp_path, sheet))
    assert message in str(caught.value)


def test_patterns(tmp_path: Path) -> None:
    (tmp_path / "out" / "files").mkdir(parents=True)
    for name in ("b.csv", "a.csv", "c.txt", ".hidden.csv", "out/files/old.csv"):
        (tmp_path / name).touch()
    found = find_samples(config(tmp_path, files=["**/*.csv", str(tmp_path / "a.*"), "c*"]))
    assert [item.file for item in found] == ["a.csv", "b.csv", "c.txt"]
    with pytest.raises(ConfigError, match="nothing matches"):
        find_samples(config(tmp_path, files=["*.h5"]))


def test_two_files_of_one_stem_have_two_folders(tmp_path: Path) -> None:
    found = find_samples(config(tmp_path, "file\na/cell 1.csv\nb/cell 1.csv\nb/cell 1.hdf5\n"))
    assert len({item.name for item in found}) == 3
    assert all(item.name.startswith("cell_1-") for item in found)
    assert duplicates(found, ["x", "y", "x"]) == [
        "b/cell 1.hdf5 holds the same bytes as a/cell 1.csv."
    ]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch": {"files": ["a"], "sheet": "b"}}, "both files and a sheet"),
        ({"batch": {"file": ["a"]}}, r"\[batch\] file: not a key here. Keys: files, sheet"),
        ({"batch": {"files": ["a"], "jobs": 0}}, r"\[batch\] jobs: input should be greater"),
        ({"batch": {"files": ["a"]}, "input": {"path": "b"}}, "is for a single run"),
        ({"batch": {"files": ["a"]}, "statistics": {"unit": "spine"}}, r"\[statistics\] unit"),
        ({"batch": {"files": ["a"]}, "envelop": {}}, "did you mean 'envelope'"),
    ],
)
def test_bad_settings_are_refused(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        BatchConfig.from_dict(values | {"output": {"folder": "out"}})


def test_the_key_follows_content_settings_and_files_beside(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("1")
    asked = config(tmp_path, files=["a.csv"])
    sample = find_samples(asked)[0]

    def key(batch: BatchConfig = asked) -> str:
        return make_task(sample, batch.run, tmp_path / "out").key

    first = key()
    assert key() == first
    assert key(config(tmp_path, files=["*.csv"], jobs=7)) == first
    other = {"batch": {"files": ["a.csv"]}, "output": {"folder": "out"}, "spines": {"seed": 1}}
    assert key(BatchConfig.from_dict(other, base_folder=tmp_path)) != first
    (tmp_path / "a.yaml").write_text("side")
    assert key() != first
    (tmp_path / "a.yaml").unlink()
    path.write_text("2")
    assert key() != first
    path.unlink()
    with pytest.raises(ReadError, match="does not exist"):
        input_sum(path)


def test_a_damaged_result_is_not_taken_for_done(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    asked = config(tmp_path, files=["a.csv"])
    task = make_task(find_samples(asked)[0], asked.run, tmp_path / "out")
    assert not is_done(task)
    task.folder.mkdir(parents=True)
    pd.DataFrame({"a": [1]}).to_parquet(task.folder / "spines.parquet")
    digest = input_sum(task.folder / "spines.parquet")
    stamp = {"key": task.key, "tables": {"spines.parquet": digest}}
    (task.folder / "batch.json").write_text(json.dumps(stamp))
    assert is_done(task)
    with (task.folder / "spines.parquet").open("ab") as file:
        file.write(b"x")
    assert not is_done(task)
    for text in ("", "[]", '{"key": 1}', "null"):
        (task.folder / "batch.json").write_text(text)
        assert not is_done(task)


def test_a_damaged_ledger_costs_no_batch(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"files": []}', '{"files": {"a": 1}}'):
        (tmp_path / "ledger.json").write_text(text)
        assert Ledger(tmp_path).entries == {}
    Ledger(tmp_path).write(Outcome("a", "done"), file="a.csv", key="k")
    assert Ledger(tmp_path).entries["a"]["status"] == "done"


def test_the_lock_is_free_again_afterwards(tmp_path: Path) -> None:
    with (
        folder_lock(tmp_path),
        pytest.raises(WriteError, match="another batch is at work"),
        folder_lock(tmp_path),
    ):
        pass
    with folder_lock(tmp_path):
        pass


def test_foreign_folders_and_bad_places_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1")
    asked = config(tmp_path, files=["a.csv"])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.doc").touch()
    with pytest.raises(WriteError, match="not of a nanospine batch"):
        run_batch(asked)
    assert {item.name for item in (tmp_path / "out").iterdir()} == {"thesis.doc"}
    (tmp_path / "out" / "thesis.doc").unlink()
    (tmp_path / "out").rmdir()
    (tmp_path / "out").touch()
    with pytest.raises(WriteError, match="is a file"):
        run_batch(asked)


def test_a_disk_without_room_stops_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("no table")
    monkeypatch.setattr("nanospine.batch.run._DISK_FULL_BYTES", float("inf"))
    with pytest.raises(NanospineError, match=r"disk is full\. 0 of 1 files are done and kept"):
        run_batch(config(tmp_path, files=["a.csv"]))


def test_an_input_that_changes_while_it_is_read_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.csv").write_text("whole")
    asked = config(tmp_path, files=["a.csv"])
    task = make_task(find_samples(asked)[0], asked.run, tmp_path / "out")

    def run(config: Any, also_write: Any) -> None:
        with atomic_folder(config.output_folder) as folder:
            (tmp_path / "a.csv").write_text("who")
            pd.DataFrame({"a": [1]}).to_parquet(folder / "spines.parquet")
            also_write(folder)

    monkeypatch.setattr("nanospine.pipeline.run", run)
    outcome = run_task(task)
    assert outcome.status == "failed"
    assert "changed while it was worked on" in outcome.reason
    assert not task.folder.exists()


def test_a_failure_near_the_memory_budget_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resource = pytest.importorskip("resource", reason="budgets are of Linux")
    (tmp_path / "a.csv").write_text("no table")
    asked = config(tmp_path, files=["a.csv"])
    task = make_task(find_samples(asked)[0], asked.run, tmp_path / "out")
    assert "memory_gb" not in run_task(task).reason
    monkeypatch.setattr("nanospine.batch.task._status", lambda name: "900000")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (10**9, -1))
    assert "had 0.92 of the 1.00 GB that it may take" in run_task(task).reason
