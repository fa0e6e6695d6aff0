"""One tidy table over all files, and one row for each file."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from nanospine.batch.samples import GROUP_COLUMNS, Sample
from nanospine.batch.task import Outcome
from nanospine.core.files import atomic_path
from nanospine.spines.classes import TYPES
from nanospine.spines.model import COLUMNS

__all__ = ["gather", "write_table"]

_SOURCE = ("file", *GROUP_COLUMNS)


def gather(
    samples: Sequence[Sample], outcomes: Mapping[str, Outcome], folder: Path
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Read the results of all files that are done.

    Everything is read from the folders, also what was just computed: a run that was stopped and
    one that was not give the same bytes.

    Parameters
    ----------
    samples : sequence of Sample
        In the order of the tables.
    outcomes : mapping
        By the name of the sample.
    folder : Path
        Where the folder of each sample is.

    Returns
    -------
    (pandas.DataFrame, pandas.DataFrame)
        One row per file (status, counts, spines per µm, reason of a failure), and one row per
        spine with `file`, `condition`, `animal`, `culture` before the columns of
        :data:`nanospine.spines.model.COLUMNS`.
    """
    rows, tables = [], []
    for sample in samples:
        outcome = outcomes.get(sample.name, Outcome(sample.name, "not tried"))
        source = {name: getattr(sample, name) for name in _SOURCE}
        row: dict[str, Any] = {**source, "status": outcome.status}
        if outcome.status == "done":
            table = pd.read_parquet(folder / sample.name / "spines.parquet")
            row |= _said(folder / sample.name / "run.json", table)
            if len(table):
                for place, (name, value) in enumerate(source.items()):
                    table.insert(place, name, value)
                tables.append(table)
        row |= {"folder": f"files/{sample.name}", "reason": outcome.reason}
        rows.append(row)
    files = pd.DataFrame(rows, columns=_file_columns())
    counts = [str(name) for name in files.columns if str(name).startswith("n_")]
    files = files.astype(dict.fromkeys(counts, "Int64"))
    if tables:
        return files, pd.concat(tables, ignore_index=True)
    return files, pd.DataFrame({name: pd.Series(dtype=object) for name in (*_SOURCE, *COLUMNS)})


def write_table(table: pd.DataFrame, stem: Path) -> None:
    """Write a table as .parquet (exact) and .csv (for people), each whole or not at all."""
    with atomic_path(stem.with_suffix(".parquet")) as temporary:
        table.to_parquet(temporary)
    with atomic_path(stem.with_suffix(".csv")) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def _file_columns() -> list[str]:
    counts = ["n_localizations", "n_spines", *(f"n_{name}" for name in TYPES)]
    sizes = ["shaft_length_nm", "spines_per_um", "alpha_nm"]
    return [*_SOURCE, "status", *counts, *sizes, "input_sha256", "notes", "folder", "reason"]


def _said(path: Path, table: pd.DataFrame) -> dict[str, Any]:
    """Give what a run said of its file."""
    said = json.loads(path.read_text(encoding="utf-8"))
    length = said["shaft_length_nm"]
    length = float(length) if isinstance(length, int | float) and length > 0 else np.nan
    types = table["type"].value_counts()
    return {
        "n_localizations": said["n_localizations"],
        "n_spines": len(table),
        **{f"n_{name}": int(types.get(name, 0)) for name in TYPES},
        "shaft_length_nm": length,
        "spines_per_um": len(table) / (length / 1000.0),
        "alpha_nm": float(said["envelope"].get("alpha_nm", np.nan)),
        "input_sha256": said["input"]["sha256"],
        "notes": " ".join(said["notes"]),
    }
