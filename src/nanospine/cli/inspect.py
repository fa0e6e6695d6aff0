"""`nanospine inspect FILE`: what is it, in which units, how much, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nanospine.cli.console import emit_json, emit_pairs, emit_table
from nanospine.cli.options import (
    FormatOption,
    InputArgument,
    JsonOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations

__all__ = ["inspect", "summary"]


def inspect(
    file: InputArgument,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a file holds: format, rows, extent, density, precision, columns, oddities."""
    from nanospine.io.registry import detect, read

    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    found = summary(read(file, **options), file)
    if format is None:
        recognised = detect(file)
        found |= {"confidence": recognised.confidence, "also_fits": list(recognised.also)}
    if json:
        emit_json(found)
        return
    _show(found)


def summary(locs: Localizations, file: Path) -> dict[str, Any]:
    """Gather what there is to say of a table of localizations that was read from a file."""
    from nanospine.cli.console import records
    from nanospine.core.columns import CANONICAL
    from nanospine.io.registry import formats
    from nanospine.points.minflux_quality import propose_cuts

    # A file of ours brings the reading of the file it was made from: the last one is this one.
    reading: dict[str, Any] = next(
        (step for step in reversed(locs.history) if step["operation"] == "read"), {}
    )
    arguments = reading.get("arguments", {})
    name = str(arguments.get("format", ""))
    titles = {item.name: item.title for item in formats()}
    xyz = locs.xyz_nm[:, : locs.dimension]
    extent = np.ptp(xyz, axis=0) if len(xyz) else np.zeros(locs.dimension)
    micrometres = 10.0 ** (3 * locs.dimension)
    density = len(locs) / locs.region.size * micrometres if locs.region.size > 0 else None
    precision = locs.precision_nm
    median = None
    if precision is not None and len(precision):
        median = [_finite_median(column) for column in precision.T[: locs.dimension]]
    described = locs.table.describe().T.reset_index().rename(columns={"index": "column"})
    described["unit"] = [
        CANONICAL[name].unit if name in CANONICAL else "" for name in described["column"]
    ]
    channels = locs.table["channel"].tolist() if "channel" in locs.table else []
    return {
        "file": str(file),
        "format": name,
        "title": titles.get(name, ""),
        "rows": len(locs),
        "rows_in_file": reading.get("n_before", len(locs)),
        "dimension": locs.dimension,
        "extent_nm": extent.tolist(),
        f"density_per_um{locs.dimension}": density,
        "region": type(locs.region).__name__,
        "region_assumed": locs.region.assumed,
        "precision_median_nm": median,
        "channels": {name: channels.count(name) for name in locs.channels},
        "columns": records(described[["column", "unit", "count", "min", "50%", "max"]]),
        "other_columns": [
            str(column) for column in locs.table if column not in set(described["column"])
        ],
        "read_with": arguments,
        "notes": [note for step in locs.history for note in step.get("notes", ())],
        "proposals": [
            {"sentence": item.sentence, "filter": item.filter} for item in propose_cuts(locs)
        ],
    }


def _finite_median(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    kept = values[np.isfinite(values)]
    return float(np.median(kept)) if len(kept) else None


def _show(found: dict[str, Any]) -> None:
    dimension = found["dimension"]
    density = found[f"density_per_um{dimension}"]
    assumed = " of the bounding box: the file does not say where the sample was observed"
    where = assumed if found["region_assumed"] else f" of the observed region ({found['region']})"
    median = found["precision_median_nm"]
    dropped = found["rows_in_file"] - found["rows"]
    read_with = {
        name: value
        for name, value in found["read_with"].items()
        if value is not None and name not in ("path", "format")
    }
    pairs = {
        "file": found["file"],
        "format": _format(found),
        "rows": f"{found['rows']}" + (f" ({dropped} of the file dropped)" if dropped else ""),
        "dimension": f"{dimension}-D",
        "extent": " x ".join(f"{item / 1000:.4g}" for item in found["extent_nm"]) + " µm",
        "density": "–" if density is None else f"{density:.4g} per µm{'²³'[dimension - 2]}{where}",
        "precision": "none in the file"
        if median is None
        else " x ".join("–" if item is None else f"{item:.3g}" for item in median) + " nm (median)",
    }
    if read_with:
        pairs["read with"] = ", ".join(f"{name} {value}" for name, value in read_with.items())
    if found["channels"]:
        shown = ", ".join(f"{key} ({value})" for key, value in found["channels"].items())
        pairs["channels"] = shown
    emit_pairs(pairs)
    rows = [
        [
            item["column"],
            item["unit"],
            f"{item['count']:.0f}",
            *(_number(item[key]) for key in ("min", "50%", "max")),
        ]
        for item in found["columns"]
    ]
    emit_table(["column", "unit", "values", "least", "median", "most"], rows)
    if found["other_columns"]:
        emit_pairs({"other columns": ", ".join(found["other_columns"])})
    for note in found["notes"]:
        emit_pairs({"noticed": note})
    for item in found["proposals"]:
        emit_pairs({"proposed": f"{item['sentence']}: -w '{item['filter']}'"})


def _format(found: dict[str, Any]) -> str:
    text: str = f"{found['format']} ({found['title']})" if found["title"] else found["format"]
    if "confidence" in found:
        text += f", recognised by content with confidence {found['confidence']:.2f}"
        if found["also_fits"]:
            text += f"; {', '.join(found['also_fits'])} would fit less well"
    return text


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.6g}"
