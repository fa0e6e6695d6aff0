"""Further files of a run for other programs, by the names of their formats."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from nanospine.core.errors import WriteError
from nanospine.output.export import write_mesh
from nanospine.output.export_tables import write_spine_table
from nanospine.output.morph_spines import write_morph_spines
from nanospine.output.swc import write_swc
from nanospine.spines.model import Spines

__all__ = ["check_formats", "write_exports"]


def check_formats(formats: Sequence[str]) -> None:
    """Refuse a format that needs what is not installed, before any work is done.

    Raises
    ------
    WriteError
        Naming what to install.
    """
    if "xlsx" in formats and importlib.util.find_spec("openpyxl") is None:
        raise WriteError(
            'xlsx needs openpyxl, which is not installed: pip install "nanospine[xlsx]".'
        )


def write_exports(spines: Spines, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write the spines into a folder, one file per format, and give the files.

    Parameters
    ----------
    spines : Spines
        What was found.
    folder : Path
        It exists.
    formats : sequence of str
        Of "swc" (`dendrite.swc`; left out when there is no shaft), "h5" (`dendrite.h5`, as
        morph-spines has it; left out when there is no spine), "xlsx" (`spines.xlsx`), "obj",
        "stl", "off", "vtp" (`spines.obj` and so on: the whole envelope).

    Examples
    --------
    >>> write_exports(None, Path(), [])  # type: ignore[arg-type]
    []
    """
    written = []
    for name in dict.fromkeys(formats):
        path = folder / f"spines.{name}"
        if name in ("swc", "h5"):
            if spines.shaft is None:  # the notes of the run say why there is none
                continue
            path = folder / f"dendrite.{name}"
            if name == "swc":
                write_swc(spines, path)
            elif len(spines):
                write_morph_spines(spines, path)
            else:
                continue
        elif name == "xlsx":
            write_spine_table(spines, path)
        else:
            write_mesh(spines, path)
        written.append(path)
    return written
