"""A folder of results appears whole or not at all, and never costs anybody other files."""

from __future__ import annotations

from pathlib import Path

import pytest

from nanospine.core.errors import WriteError
from nanospine.core.folders import atomic_folder, check_target


def write_result(target: Path, text: str = "{}", *, overwrite: bool = False) -> None:
    with atomic_folder(target, overwrite=overwrite) as folder:
        (folder / "run.json").write_text(text)


def everything(folder: Path) -> set[str]:
    return {item.relative_to(folder).as_posix() for item in folder.rglob("*")}


def test_the_folder_appears_only_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "new" / "results"
    with atomic_folder(target) as folder:
        assert not target.exists()
        (folder / "run.json").write_text("{}")
    assert everything(tmp_path) == {"new", "new/results", "new/results/run.json"}


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_failure_leaves_nothing(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error), atomic_folder(tmp_path / "a" / "results") as folder:  # noqa: PT012
        (folder / "half").write_text("")
        raise error
    assert everything(tmp_path) == set()


def test_failure_keeps_the_earlier_result(tmp_path: Path) -> None:
    target = tmp_path / "results"
    write_result(target, "old")
    with pytest.raises(ValueError), atomic_folder(target, overwrite=True) as folder:  # noqa: PT012
        (folder / "run.json").write_text("new")
        raise ValueError
    assert everything(tmp_path) == {"results", "results/run.json"}
    assert (target / "run.json").read_text() == "old"


def test_an_earlier_result_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "results"
    write_result(target, "old")
    (target / "extra").write_text("")
    with pytest.raises(WriteError, match=r"already holds a result.*--overwrite"):
        write_result(target, "new")
    write_result(target, "new", overwrite=True)
    assert everything(tmp_path) == {"results", "results/run.json"}
    assert (target / "run.json").read_text() == "new"


def test_other_peoples_files_are_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "thesis.docx").write_text("years of work")
    with pytest.raises(WriteError, match="not a nanospine result"):
        write_result(tmp_path, overwrite=True)
    assert everything(tmp_path) == {"thesis.docx"}


def test_an_empty_folder_may_be_used(tmp_path: Path) -> None:
    target = tmp_path / "results"
    target.mkdir()
    write_result(target)
    assert (target / "run.json").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("")
    with pytest.raises(WriteError, match="is a file"):
        check_target(tmp_path / "results")
    with pytest.raises(WriteError, match="cannot be written to"):
        check_target(tmp_path / "results" / "below")
