"""Atomic writing: a file is whole or not there."""

from __future__ import annotations

import hashlib

import pytest

from nanospine.core.errors import WriteError
from nanospine.core.files import atomic_path, sha256_of


def test_the_target_appears_whole(tmp_path):
    target = tmp_path / "out.csv"
    with atomic_path(target) as temporary:
        temporary.write_text("1,2")
        assert not target.exists()
        assert temporary.suffix == ".csv"
    assert target.read_text() == "1,2"
    assert [item.name for item in tmp_path.iterdir()] == ["out.csv"]


def test_a_failure_keeps_the_old_file_and_leaves_nothing(tmp_path):
    target = tmp_path / "out.csv"
    target.write_text("old")

    def fail_half_way():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail_half_way()
    assert target.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_folder_and_folder_as_target_are_named(tmp_path):
    with pytest.raises(WriteError, match="does not exist"), atomic_path(tmp_path / "a" / "b.csv"):
        pass
    with pytest.raises(WriteError, match="is a folder"), atomic_path(tmp_path):
        pass


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(WriteError, match="cannot be written"), atomic_path(tmp_path / "x.csv"):
        pass
    assert not list(tmp_path.iterdir())


def test_sha256(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"nanospine" * 200_000)
    assert sha256_of(path) == hashlib.sha256(b"nanospine" * 200_000).hexdigest()
