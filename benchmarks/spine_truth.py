"""Simulated dendrites of known spines: detection, types, necks, heads, volumes.

Each row simulates dendrites, localizes them, and runs envelope and find_spines as a user would::

    python benchmarks/spine_truth.py [--dendrites 3] [--only NAME ...]

A found spine is the planted one whose tip is nearest (one to one, within 400 nm; of a branched one
the tip of either head). Necks are those
that were measured on the localizations; beside them the width of the envelope along the same
centreline, and the smallest width (FWHM) of a Gaussian fitted to lines across the neck in the
x-y plane, as programs for images measure it. "Bound" is the Cramer-Rao bound of the necks that were
measured (`neck_bound.py`), root mean square; the ratio is the RMSE over it, and in brackets the
root mean square of every error over its own bound.
"""

from __future__ import annotations

import argparse
import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from neck_bound import planted_bound_nm
from scipy.optimize import curve_fit, linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.metrics import f1_score

import nanospine as ns
from nanospine.spines.head import mesh_profile

NECKED = ["thin", "mushroom", "filopodium", "branched"]
TIP = ["tip_x_nm", "tip_y_nm", "tip_z_nm"]


@dataclass(frozen=True)
class Row:
    per_um: float = 1.2
    length_nm: float = 8000.0
    label: str = "membrane"
    xy: float = 10.0
    z: float = 20.0
    density: float = 1000.0
    background: float = 0.05


ROWS = {
    "usual": Row(),
    "MINFLUX": Row(xy=3.0, z=5.0),
    "coarse": Row(xy=25.0, z=50.0),
    "sparse": Row(density=300.0),
    "very sparse": Row(density=100.0),
    "dense": Row(density=3000.0),
    "background": Row(background=0.1),
    "filled": Row(label="filled", density=10_000.0),
    "3 per um": Row(per_um=3.0, length_nm=5000.0),
    "5 per um": Row(per_um=5.0, length_nm=5000.0),
    "10 per um": Row(per_um=10.0, length_nm=4000.0),
    "15 per um": Row(per_um=15.0, length_nm=4000.0),
}


def fwhm_nm(locs: ns.Localizations, line: np.ndarray) -> float:
    """Smallest full width at half maximum across the neck, seen from above."""
    xy = locs.xyz_nm[:, :2]
    widths = []
    steps = np.linspace(0.15, 0.6, 10)
    arc = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    for at in steps * arc[-1]:
        here = np.array([np.interp(at, arc, c) for c in line.T])
        ahead = np.array([np.interp(at + 40, arc, c) for c in line.T])
        along = (ahead - here)[:2]
        if np.linalg.norm(along) < 15:
            continue
        along /= np.linalg.norm(along)
        offset = xy - here[:2]
        slab = np.abs(offset @ along) < 50
        across = (offset @ [-along[1], along[0]])[slab]
        across = across[np.abs(across) < 400]
        if len(across) < 20:
            continue
        count, edges = np.histogram(across, bins=40, range=(-400, 400))
        centre = (edges[1:] + edges[:-1]) / 2
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                (a, m, s, b), _ = curve_fit(
                    lambda x, a, m, s, b: a * np.exp(-(((x - m) / s) ** 2) / 2) + b,
                    centre, count, p0=(count.max(), 0, 80, 0), maxfev=400,
                )  # fmt: skip
        except RuntimeError:
            continue
        fit = a * np.exp(-(((centre - m) / s) ** 2) / 2) + b
        if 1 - ((count - fit) ** 2).sum() / max(((count - count.mean()) ** 2).sum(), 1) > 0.8:
            widths.append(2.3548 * abs(s))
    return min(widths, default=np.nan)


def pairs_of(shape: ns.simulate.Shape, table: pd.DataFrame) -> list[tuple[int, int]]:
    """Planted and found spines that are the same."""
    if not len(table):
        return []
    found = table[TIP].to_numpy(dtype=float)
    cost = cdist(shape.truth.spines[TIP].to_numpy(), found)
    for number, spine in enumerate(shape.planted):
        if spine.spec.type == "branched":
            tube, ball = spine.bodies[2:]
            way = tube.path_nm[-1] - tube.path_nm[-2]
            tip = ball.centre_nm + ball.radius_nm * way / np.linalg.norm(way)
            cost[number] = np.minimum(cost[number], np.linalg.norm(found - tip, axis=1))
    pairs = zip(*linear_sum_assignment(np.minimum(cost, 2e3)), strict=True)
    return [(int(i), int(j)) for i, j in pairs if cost[i, j] < 400]


def one(row: Row, seed: int) -> dict[str, Any]:
    shape = ns.simulate.dendrite(row.length_nm, spines_per_um=row.per_um, seed=seed)
    locs = ns.simulate.localize(
        shape, label=row.label, density_per_um2=row.density, density_per_um3=row.density,
        precision_xy_nm=row.xy, precision_z_nm=row.z, background_fraction=row.background,
        seed=seed,
    )  # fmt: skip
    start = time.process_time()
    envelope = ns.envelope(locs, label=row.label)
    middle = time.process_time()
    spines = ns.find_spines(envelope, locs)
    end = time.process_time()
    truth_of, table = shape.truth, spines.table
    truth = truth_of.spines
    matched = []
    for i, j in pairs_of(shape, table):
        both = {f"true_{name}": value for name, value in truth.iloc[i].items()}
        both |= {f"found_{name}": value for name, value in table.iloc[j].items()}
        line = spines.spines[j].centreline_nm
        both["bound_nm"], both["n_neck"] = planted_bound_nm(
            truth_of.centrelines_nm[i], truth_of.profiles[i], locs, row.label == "filled"
        )
        profile = mesh_profile(spines.spines[j].mesh, line)
        both["envelope_nm"] = profile.constriction.diameter_nm if profile.constriction else np.nan
        both["fwhm_nm"] = fwhm_nm(locs, line)
        matched.append(both)
    return {
        "matched": matched, "planted": len(truth), "found": len(table), "points": len(locs),
        "envelope_s": middle - start, "spines_s": end - middle,
    }  # fmt: skip


def in_interval(known: pd.DataFrame) -> pd.Series:
    """Whether the interval of each measured neck holds the planted diameter."""
    truth = known["true_neck_diameter_nm"]
    low, high = (known[f"found_neck_diameter_{end}_nm"] for end in ("low", "high"))
    return (low <= truth) & (high >= truth)


def summary(results: list[dict[str, Any]]) -> dict[str, str]:
    m = pd.DataFrame([pair for result in results for pair in result["matched"]])
    planted = sum(r["planted"] for r in results)
    found = sum(r["found"] for r in results)
    necked = m[m["true_type"].isin(NECKED)]
    known = necked[necked["found_neck_diameter_nm"].notna()]
    error = (known["found_neck_diameter_nm"] - known["true_neck_diameter_nm"]).astype(float)
    bound = known["bound_nm"].astype(float)
    headed = m[m["true_type"].isin(["thin", "mushroom", "branched"])]

    def off(frame: pd.DataFrame, name: str) -> str:
        ratio = frame[f"found_{name}"].astype(float) / frame[f"true_{name}"]
        return f"{(ratio - 1).abs().median():.1%} ({ratio.median() - 1:+.1%})"

    width = (necked["envelope_nm"] - necked["true_neck_diameter_nm"]).astype(float)
    fwhm = (necked["fwhm_nm"] - necked["true_neck_diameter_nm"]).astype(float)
    return {
        "planted": str(planted),
        "F1": f"{2 * len(m) / (planted + found):.3f}",
        "types": f"{f1_score(m['true_type'], m['found_type'], average='macro'):.3f}",
        "necks": f"{len(known)}/{len(necked)}",
        "bias (median)": f"{error.mean():+.1f} ({error.median():+.1f})",
        "RMSE (MAD)": f"{np.sqrt((error**2).mean()):.1f} ({error.abs().median():.1f})",
        "bound": f"{np.sqrt((bound**2).mean()):.1f}",
        "ratio": f"{np.sqrt((error**2).mean() / (bound**2).mean()):.2f} "
        f"({np.sqrt(((error / bound) ** 2).mean()):.2f})",
        "cover": f"{in_interval(known).mean():.0%}",
        "envelope": f"{width.median():+.0f}",
        "FWHM": f"{fwhm.median():+.0f}",
        "length": off(m, "length_nm"),
        "neck length": off(headed, "neck_length_nm"),
        "head": off(headed, "head_diameter_nm"),
        "head volume": off(headed, "head_volume_nm3"),
        "volume": off(m, "volume_nm3"),
        "CPU s": f"{np.mean([r['envelope_s'] for r in results]):.1f} + "
        f"{np.mean([r['spines_s'] for r in results]):.1f}",
    }


def overall(m: pd.DataFrame) -> str:
    """Figures of all rows together; necks on which 30 molecules or more lie."""
    types = f1_score(m["true_type"], m["found_type"], average="macro")
    necks = m[m["true_type"].isin(NECKED) & (m["n_neck"] >= 30)]
    known = necks[necks["found_neck_diameter_nm"].notna()]
    error = known["found_neck_diameter_nm"] - known["true_neck_diameter_nm"]
    relative = (error / known["bound_nm"]).astype(float)
    spread, typical = np.sqrt((relative**2).mean()), relative.abs().median() / 0.6745
    return (
        f"{len(m)} spines of all rows: types {types:.3f}; {len(known)} of {len(necks)} necks with "
        f"30 molecules measured: bias {error.mean():+.2f} nm, errors over their bounds "
        f"{spread:.2f} (root mean square), {typical:.2f} (by the median), "
        f"covered {in_interval(known).mean():.1%}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dendrites", type=int, default=3)
    parser.add_argument("--seed", type=int, default=100)
    parser.add_argument("--only", nargs="*")
    parser.add_argument("--matches", help="write every matched pair to this csv")
    given = parser.parse_args()
    everything = []
    for number, (name, row) in enumerate(ROWS.items()):
        if given.only and name not in given.only:
            continue
        results = [one(row, given.seed + seed) for seed in range(given.dendrites)]
        everything += [pair | {"row": name} for r in results for pair in r["matched"]]
        cells = {"row": name, **summary(results)}
        if number == 0 or given.only:
            print("| " + " | ".join(cells) + " |\n|" + "---|" * len(cells))
        print("| " + " | ".join(cells.values()) + " |", flush=True)
        if given.matches:
            pd.DataFrame(everything).to_csv(given.matches, index=False)
    print(overall(pd.DataFrame(everything)))


if __name__ == "__main__":
    main()
