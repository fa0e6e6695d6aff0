"""`nanospine demo`: simulates a dendrite, runs everything, shows the truth beside it."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from nanospine.cli.console import emit_json, emit_table, progress_bar, records, say
from nanospine.cli.options import JsonOption, OverwriteOption

if TYPE_CHECKING:
    import pandas as pd

    from nanospine.core.localizations import Localizations
    from nanospine.core.progress import Progress
    from nanospine.pipeline import RunResult
    from nanospine.simulate.synapses import SynapseTruth

__all__ = ["compare", "demo", "run_demo"]

_SEED = 7
_INPUT = "simulated.parquet"
_TRUTH = "truth.csv"
# A spine that was found belongs to the planted one whose tip is nearest, and not farther than this.
_SAME_TIP_NM = 400.0


def demo(
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Results.")] = Path(
        "nanospine-demo"
    ),
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Simulate a dendrite with spines, run everything on it, and compare with what was planted."""
    # What an earlier demo wrote may go: it is made again from the same seed.
    again = overwrite or (out / _TRUTH).is_file()
    with progress_bar() as progress:
        result, truth = run_demo(out, overwrite=again, progress=progress)
    table = compare(result.spines.table, truth)
    if json:
        emit_json(result.to_dict() | {"folder": str(result.folder), "spines": records(table)})
        return
    _show(table)
    for name, planted, measured in coupling_of(result.folder):
        say(f"{name}: planted {planted}, measured {measured}")
    for note in result.notes:
        say(f"note: {note}")
    say(f"results in {result.folder}: open report.html; truth.csv holds what was planted")


def run_demo(
    out: Path, *, overwrite: bool = False, progress: Progress | None = None
) -> tuple[RunResult, pd.DataFrame]:
    """Simulate, write the localizations as a file, and run the pipeline on the file.

    Returns
    -------
    (RunResult, pandas.DataFrame)
        The results in `out`, and the planted spines.
    """
    from nanospine.cli.demo_statistics import couple_channels
    from nanospine.config import RunConfig
    from nanospine.core.folders import check_target
    from nanospine.core.progress import report
    from nanospine.io.registry import write
    from nanospine.pipeline import run

    check_target(out, overwrite=overwrite)
    report(progress, "simulating", 0.0)
    localizations, truth, pairs = _simulate()
    with tempfile.TemporaryDirectory(prefix="nanospine-demo-") as name:
        place = Path(name)
        write(localizations, place / _INPUT)
        config = RunConfig.from_dict(
            {
                "input": {"path": _INPUT},
                "envelope": {"channel": "membrane"},
                "output": {"folder": str(out.absolute()), "overwrite": overwrite},
            },
            base_folder=place,
        )

        def add_input(folder: Path) -> None:
            shutil.copyfile(place / _INPUT, folder / _INPUT)
            truth.to_csv(folder / _TRUTH, index=False, lineterminator="\n")
            report(progress, "coupling the synaptic channels", 0.0)
            couple_channels(folder, localizations, pairs.coupled_fraction, pairs.distance_nm)
            report(progress, "coupling the synaptic channels", 1.0)

        return run(config, progress=progress, also_write=add_input), truth


def coupling_of(folder: Path) -> list[tuple[str, str, str]]:
    """Read what was planted and measured of the two synaptic channels."""
    import pandas as pd

    lines = []
    for row in pd.read_csv(folder / "coupling.csv").to_dict("records"):
        measured = f"{row['measured']:.3g}"
        if np.isfinite(row["low"]):
            measured += f" ({row['low']:.3g} to {row['high']:.3g})"
        lines.append((str(row["what"]), f"{row['planted']:.3g}", measured))
    return lines


def _simulate() -> tuple[Localizations, pd.DataFrame, SynapseTruth]:
    """Simulate a dendrite with a labelled membrane, and two synaptic channels beside it."""
    import pandas as pd

    from nanospine.core.localizations import Localizations
    from nanospine.core.region import Box
    from nanospine.simulate.dendrites import demo_dendrite
    from nanospine.simulate.labelling import localize
    from nanospine.simulate.synapses import synapses

    shape = demo_dendrite(_SEED)
    membrane = localize(shape, seed=_SEED)
    low, high = membrane.region.bounds_nm
    molecules = synapses(Box(low, high), n_pre=300, n_post=300, seed=_SEED)
    table = pd.concat(
        [membrane.table.assign(channel="membrane"), molecules.table.astype({"channel": "str"})],
        ignore_index=True,
    )
    merged = Localizations(table, membrane.region, (*membrane.history, *molecules.history))
    return merged, shape.truth.spines, molecules.truth


def compare(found: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Put what was found beside what was planted, one row per planted spine.

    A planted spine that was not found has empty cells; one that was found and not planted comes
    last, with an empty truth.
    """
    import pandas as pd
    from scipy.optimize import linear_sum_assignment

    tip = [f"tip_{axis}_nm" for axis in "xyz"]
    far = truth[tip].to_numpy()[:, None] - found[tip].to_numpy()[None]
    distance = np.linalg.norm(far.astype(np.float64), axis=2)
    pairs = [
        (int(i), int(j))
        for i, j in zip(*linear_sum_assignment(np.minimum(distance, 1e6)), strict=True)
        if distance[i, j] < _SAME_TIP_NM
    ]
    partner = dict(pairs)
    rows = [_row(truth.iloc[i], found.iloc[partner[i]] if i in partner else None)
            for i in range(len(truth))]  # fmt: skip
    extra = set(range(len(found))) - set(partner.values())
    rows += [_row(None, found.iloc[j]) for j in sorted(extra)]
    return pd.DataFrame(rows)


def _row(planted: Any, measured: Any) -> dict[str, Any]:
    there: Any = {"type": None} if planted is None else planted
    seen: Any = {"type": None} if measured is None else measured
    row: dict[str, Any] = {
        "spine": None if measured is None else int(seen["spine"]),
        "planted_type": there["type"],
        "type": seen["type"],
    }
    for name in ("length_nm", "neck_diameter_nm", "head_diameter_nm"):
        row[f"planted_{name}"] = float(there.get(name, np.nan))
        row[name] = float(seen.get(name, np.nan))
    row["neck_diameter_low_nm"] = float(seen.get("neck_diameter_low_nm", np.nan))
    row["neck_diameter_high_nm"] = float(seen.get("neck_diameter_high_nm", np.nan))
    return row


def _show(table: pd.DataFrame) -> None:
    def number(value: Any) -> str:
        return "–" if value is None or not np.isfinite(value) else f"{value:.0f}"

    rows = [
        [
            "–" if item["spine"] is None else f"{item['spine']:.0f}",
            item["planted_type"] or "–",
            item["type"] or "–",
            number(item["planted_neck_diameter_nm"]),
            number(item["neck_diameter_nm"]),
            f"{number(item['neck_diameter_low_nm'])} to {number(item['neck_diameter_high_nm'])}",
            number(item["planted_length_nm"]),
            number(item["length_nm"]),
            number(item["planted_head_diameter_nm"]),
            number(item["head_diameter_nm"]),
        ]
        for item in records(table)
    ]
    headings = ["spine", "true type", "found", "true neck nm", "measured", "95 %",
                "true length nm", "measured", "true head nm", "measured"]  # fmt: skip
    emit_table(headings, rows, title="What was planted, and what was found")
