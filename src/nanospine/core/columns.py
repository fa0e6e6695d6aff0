"""The canonical columns of a table of localizations: name, unit, meaning."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CANONICAL", "INTEGER_COLUMNS", "POSITIONS", "ColumnSpec"]


@dataclass(frozen=True)
class ColumnSpec:
    """Unit and meaning of a canonical column."""

    unit: str
    meaning: str


POSITIONS = ("x_nm", "y_nm", "z_nm")

CANONICAL: dict[str, ColumnSpec] = {
    "x_nm": ColumnSpec("nm", "position"),
    "y_nm": ColumnSpec("nm", "position"),
    "z_nm": ColumnSpec("nm", "position along the optical axis"),
    "frame": ColumnSpec("", "camera frame of the localization, as numbered in the file"),
    "photons": ColumnSpec("photon", "detected signal photons"),
    "background_photons": ColumnSpec("photon", "background photons, as the program defines them"),
    "sigma_x_nm": ColumnSpec("nm", "standard deviation of the fitted spot"),
    "sigma_y_nm": ColumnSpec("nm", "standard deviation of the fitted spot"),
    "precision_x_nm": ColumnSpec("nm", "standard deviation of the position"),
    "precision_y_nm": ColumnSpec("nm", "standard deviation of the position"),
    "precision_z_nm": ColumnSpec("nm", "standard deviation of the position"),
    "channel": ColumnSpec("", "colour channel or probe, named"),
    "trace": ColumnSpec("", "id of the trace or track: one molecule visited in one go"),
    "molecule": ColumnSpec("", "id of the molecule, where it is known; -1 is background"),
    "time_s": ColumnSpec("s", "time since the start of the measurement"),
    "n_localizations": ColumnSpec("", "localizations that were merged into this row"),
    "efo_hz": ColumnSpec("Hz", "MINFLUX: effective emission frequency at the offset"),
    "cfr": ColumnSpec("", "MINFLUX: centre frequency ratio"),
    "dcr": ColumnSpec("", "MINFLUX: detector channel ratio"),
    "eco": ColumnSpec("photon", "MINFLUX: effective counts at the offset"),
    "background_hz": ColumnSpec("Hz", "MINFLUX: background frequency"),
}

#: Columns that count or name something: they keep integer types where a file has them.
INTEGER_COLUMNS = frozenset({"frame", "trace", "molecule", "n_localizations", "channel"})
