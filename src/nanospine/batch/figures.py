"""Figures of an experiment: every measure by condition, and each condition on its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from nanospine.batch.groups import Groups
from nanospine.core.colours import TYPE_COLOURS
from nanospine.core.files import atomic_path
from nanospine.spines.classes import TYPES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["write_figures"]

# Measure -> axis label, divisor.
_SHOWN = {
    "length_nm": ("spine length (µm)", 1e3),
    "neck_diameter_nm": ("neck diameter (nm)", 1.0),
    "neck_length_nm": ("neck length (nm)", 1.0),
    "head_diameter_nm": ("head diameter (nm)", 1.0),
    "head_volume_nm3": ("head volume (µm³)", 1e9),
    "spines_per_um": ("spines per µm of dendrite", 1.0),
}
_CONDITION_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
_MOST_POINTS = 2000


def write_figures(spines: pd.DataFrame, groups: Groups, folder: Path) -> dict[str, Path]:
    """Write one figure that compares conditions and one per condition, as PNG.

    Grey points are spines, coloured points the averages of units with their mean and 95 %
    interval: what is tested is what is drawn large.

    Returns
    -------
    dict
        Alternative text -> file.
    """
    names = list(dict.fromkeys(groups.units["condition"]))
    if not names:
        return {}
    folder.mkdir(exist_ok=True)
    written: dict[str, Path] = {}
    shown = ", ".join(name or "all files" for name in names)
    path = folder / "conditions.png"
    _save(_compared(spines, groups, names), path)
    written[f"Every measure by condition ({shown}): spines, averages of {groups.unit}s"] = path
    for number, name in enumerate(names):
        stem = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:40]
        path = folder / f"condition_{number + 1:02d}_{stem or 'all'}.png"
        _save(_one(spines[spines["condition"] == name], name or "all files"), path)
        written[f"Distributions of the spines of {name or 'all files'}, and their types"] = path
    for old in folder.glob("condition*.png"):
        if old not in written.values():
            old.unlink()  # of a condition that is no more
    return written


def _figure(rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * columns, 2.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, list(axes.flat)


def _save(figure: Figure, path: Path) -> None:
    with atomic_path(path) as temporary:
        # Without the name of the program: the same results, the same bytes.
        figure.savefig(temporary, dpi=110, metadata={"Software": None})


def _compared(spines: pd.DataFrame, groups: Groups, names: list[str]) -> Figure:
    figure, axes = _figure(2, 4)
    for axis, (measure, (label, scale)) in zip(axes, _SHOWN.items(), strict=False):
        for place, name in enumerate(names):
            colour = _CONDITION_COLOURS[place % len(_CONDITION_COLOURS)]
            if measure in spines:
                own = spines.loc[spines["condition"] == name, measure].dropna()
                _scatter(axis, own.to_numpy(dtype=float) / scale, place, "0.8", 4)
            mine = groups.units.loc[groups.units["condition"] == name, measure].dropna()
            _scatter(axis, mine.to_numpy(dtype=float) / scale, place, colour, 36)
            _mean(axis, groups.conditions, measure, name, place, scale)
        axis.set_ylabel(label)
        _ticks(axis, names)
        axis.set_ylim(bottom=0)
    _types(axes[6], groups, names)
    axes[7].axis("off")
    axes[7].text(
        0, 0.9, f"grey: spines\ncolour: averages of one {groups.unit}\nbars: mean and its 95 %\n"
        f"interval over {groups.unit}s", va="top",
    )  # fmt: skip
    return figure


def _scatter(axis: Axes, values: Any, place: int, colour: str, size: float) -> None:
    """Draw values beside each other where they lie close: by a fixed sequence, not by chance."""
    values = values[:: max(1, len(values) // _MOST_POINTS)]
    aside = (np.arange(1, len(values) + 1) * 0.6180339887) % 1.0 - 0.5
    edge = "black" if size > 10 else "none"
    axis.scatter(place + 0.5 * aside, values, s=size, color=colour, edgecolors=edge, linewidths=0.6)


def _mean(
    axis: Axes, conditions: pd.DataFrame, measure: str, name: str, place: int, scale: float
) -> None:
    row = conditions[(conditions["measure"] == measure) & (conditions["condition"] == name)]
    if not len(row) or not np.isfinite(row["mean"].iloc[0]):
        return
    mean, low, high = (float(row[key].iloc[0]) / scale for key in ("mean", "mean_low", "mean_high"))
    axis.plot([place - 0.3, place + 0.3], [mean, mean], color="black", linewidth=1.6)
    if np.isfinite(low):
        axis.plot([place, place], [max(low, 0), high], color="black", linewidth=1.2)


def _ticks(axis: Axes, names: list[str]) -> None:
    axis.set_xticks(range(len(names)), [name[:16] or "all" for name in names], rotation=20)
    axis.set_xlim(-0.6, len(names) - 0.4)


def _types(axis: Axes, groups: Groups, names: list[str]) -> None:
    means = groups.units.groupby("condition")[[f"fraction_{name}" for name in TYPES]].mean()
    for place, name in enumerate(names):
        below = 0.0
        for kind in TYPES:
            part = float(means.loc[name, f"fraction_{kind}"])  # type: ignore[arg-type]
            if np.isfinite(part):
                axis.bar(place, part, bottom=below, color=TYPE_COLOURS[kind], width=0.6)
                below += part
    for kind in TYPES:
        axis.bar(0, 0, color=TYPE_COLOURS[kind], label=kind)
    axis.legend(fontsize=6, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    axis.set_ylabel("share of types")
    _ticks(axis, names)


def _one(spines: pd.DataFrame, name: str) -> Figure:
    figure, axes = _figure(1, 4)
    shown = ("length_nm", "neck_diameter_nm", "head_diameter_nm")
    for axis, measure in zip(axes, shown, strict=False):
        label, scale = _SHOWN[measure]
        there = spines[measure].dropna() if measure in spines else pd.Series(dtype=float)
        values = there.to_numpy(dtype=np.float64) / scale
        if len(values):
            axis.hist(values, bins=min(30, max(5, int(np.sqrt(len(values))))), color="0.5")
        axis.set_xlabel(label)
        axis.set_ylabel("spines")
    counts = [int((spines["type"] == kind).sum()) for kind in TYPES]
    axes[3].barh(TYPES, counts, color=[TYPE_COLOURS[kind] for kind in TYPES])
    axes[3].set_xlabel("spines")
    figure.suptitle(f"{name}: {len(spines)} spines of {spines['file'].nunique()} files")
    return figure
