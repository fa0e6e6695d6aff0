"""Histories are plain JSON and come back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import nanospine as ns
from nanospine.core.history import entry, from_json, plain, to_json


def test_everything_becomes_json():
    value = {
        "array": np.arange(3),
        "long": np.zeros((100, 3)),
        "nan": np.nan,
        "path": Path("a") / "b",
        "region": ns.Box((0, 0), (1, 1)),
        "set": {1},
        "object": object(),
        3: np.float32(0.5),
    }
    result = json.loads(json.dumps(plain(value)))
    assert result["array"] == [0, 1, 2]
    assert result["long"]["shape"] == [100, 3]
    assert result["nan"] == "nan"
    assert result["region"]["kind"] == "box"
    assert result["3"] == 0.5


def test_round_trip():
    history = (entry("read", {"path": "a.csv"}, n_after=5, notes=["2 rows dropped"]),)
    assert from_json(to_json(history)) == history
    with pytest.raises(ValueError, match="list of entries"):
        from_json("{}")
