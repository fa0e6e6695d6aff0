"""The table of spines for a spreadsheet, with the meaning and unit of every column beside it."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd

from nanospine.core.errors import WriteError
from nanospine.core.files import atomic_path
from nanospine.spines.model import COLUMNS, Spines
from nanospine.version import __version__

__all__ = ["PROFILE_COLUMNS", "TABLE_SUFFIXES", "profile_table", "write_spine_table"]

#: Columns of the table of neck profiles.
PROFILE_COLUMNS = ("spine", "position_nm", "diameter_nm", "low_nm", "high_nm", "n_molecules")

#: Formats that tables are written in.
TABLE_SUFFIXES = (".csv", ".parquet", ".xlsx")


def profile_table(spines: Spines) -> pd.DataFrame:
    """Give the diameter along every spine as one long table.

    Parameters
    ----------
    spines : Spines

    Returns
    -------
    pandas.DataFrame
        A row per spine and position: `spine`, `position_nm` along the centreline from the shaft,
        `diameter_nm` with `low_nm` and `high_nm` (95 %; NaN where too few molecules support it),
        `n_molecules`.

    Examples
    --------
    >>> import nanospine as ns
    >>> found = ns.find_spines(ns.simulate.spine("thin", seed=1).mesh)
    >>> profile_table(found).columns.tolist()
    ['spine', 'position_nm', 'diameter_nm', 'low_nm', 'high_nm', 'n_molecules']
    """
    frames = [spine.neck.to_frame().assign(spine=spine.id) for spine in spines.spines]
    frames = [frame for frame in frames if len(frame)]
    if not frames:
        columns = dict.fromkeys(PROFILE_COLUMNS, "float64")
        columns |= {"spine": "int64", "n_molecules": "int64"}
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    return pd.concat(frames, ignore_index=True)[list(PROFILE_COLUMNS)]


def write_spine_table(spines: Spines, path: str | os.PathLike[str]) -> None:
    """Write the table of spines as .csv, .parquet or .xlsx.

    A workbook has four sheets: `spines`, `profiles` (the diameter along each), `columns` (what
    each column means, with its unit) and `about` (version, notes). Text that begins with = stays
    text: a note must not be a formula.

    Raises
    ------
    WriteError
        When the suffix is none of these, openpyxl is not installed for .xlsx, or the place
        cannot be written to.

    Examples
    --------
    >>> import tempfile
    >>> from types import SimpleNamespace
    >>> found = SimpleNamespace(table=pd.DataFrame({"spine": [0], "length_nm": [900.0]}))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_spine_table(found, f"{folder}/spines.csv")  # type: ignore[arg-type]
    ...     print(Path(f"{folder}/spines.csv").read_text(), end="")
    spine,length_nm
    0,900.0
    """
    target = Path(path)
    suffix = target.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise WriteError(
            f"{target}: tables are written as {', '.join(TABLE_SUFFIXES)}; found {suffix!r}."
        )
    if suffix == ".xlsx":
        _write_workbook(spines, target)
        return
    with atomic_path(target) as temporary:
        if suffix == ".csv":
            spines.table.to_csv(temporary, index=False, lineterminator="\n")
        else:
            spines.table.to_parquet(temporary)


def _write_workbook(spines: Spines, target: Path) -> None:
    try:
        import openpyxl  # noqa: F401 - asked for here, used by pandas
    except ImportError as error:
        raise WriteError(
            f"{target}: .xlsx needs openpyxl, which is not installed: pip install "
            '"nanospine[xlsx]". '
            ".csv opens in every spreadsheet too."
        ) from error
    names = [str(name) for name in spines.table.columns]
    columns = pd.DataFrame({"column": names, "meaning": [COLUMNS.get(name, "") for name in names]})
    rows = [
        ("program", f"nanospine {__version__}"),
        ("units", "nanometres in columns that end in _nm, and their squares and cubes"),
        ("origin", "as in the localizations"),
        *(("note", note) for note in spines.notes),
    ]
    about = pd.DataFrame(rows, columns=["what", "value"])
    with atomic_path(target) as temporary, pd.ExcelWriter(temporary, engine="openpyxl") as book:
        sheets = {
            "spines": spines.table, "profiles": profile_table(spines), "columns": columns,
            "about": about,
        }  # fmt: skip
        for name, frame in sheets.items():
            frame.to_excel(book, sheet_name=name, index=False, freeze_panes=(1, 0))
            for cells in book.sheets[name].iter_rows():
                for cell in cells:
                    if cell.data_type == "f":
                        cell.data_type = "s"
