"""Necks of known diameter: bias, RMSE against the Cramer-Rao bound, coverage of the intervals.

Surfaces of revolution (shaft joint, straight neck, round head) are labelled, localized with
blinks and background, turned at random against the axis of the poorer precision, and measured
with a centreline that is off by 15 nm and 4 degrees and jitters by 10 nm. A "tube" is a neck alone,
open at both ends.

    python benchmarks/neck_truth.py [repeats] [seed] [rows, as 0,3,9]

The bound is that of `neck_bound.py` for a shape like the planted one (even, a cone, a parabola);
the estimator measured here knows neither that nor where the stretch begins and ends. "Even" is the
bound of who knows that the neck is even.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from neck_bound import bound_nm, scores
from scipy.spatial.transform import Rotation

from nanospine.spines.molecules import gather
from nanospine.spines.neck import measure_neck
from nanospine.spines.tube import reach_nm


@dataclass(frozen=True)
class Case:
    diameter: float
    xy: float
    z: float
    density: float  # per um2 (membrane) or um3 (filled)
    label: str = "membrane"
    background: float = 0.05
    blinks: float = 3.0
    head: float = 500.0  # 0: neither head nor joint
    neck: float = 450.0
    bend: float = 0.0
    known: bool = True
    waist: float = 0.0  # the ends of the neck are wider than its middle by this fraction
    taper: float = 0.0  # the far end of the neck is wider than the near one by this fraction
    linker: float = 0.0  # length between label and fluorophore, nm, in any direction

    @property
    def foot(self) -> float:
        """Length of the flare at the shaft."""
        return 60.0 if self.head else 0.0


def radius_profile(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Radius along the axis: a flare at the shaft, the neck, a round head."""
    r, big, flare = case.diameter / 2, case.head / 2, case.foot
    start = case.neck + flare
    end = r * (1 + case.waist + case.taper)
    cut = np.sqrt(max(big**2 - end**2, 0.0))
    s = np.arange(0.0, start + cut + big, 1.0)
    radius = np.full(len(s), r)
    along = np.clip((s - flare) / case.neck, 0.0, 1.0)
    radius *= 1 + case.waist * (2 * along - 1) ** 2 + case.taper * along
    base = s < flare
    radius[base] += flare - np.sqrt(flare**2 - (flare - s[base]) ** 2)
    head = (s > start) & (big > 0)
    radius[head] = np.sqrt(np.maximum(big**2 - (s[head] - start - cut) ** 2, 0.0))
    radius[head] = np.maximum(radius[head], 0.0)
    return s, radius


def specimen(case: Case, rng: np.random.Generator) -> dict:
    s, r = radius_profile(case)
    if case.label == "membrane":
        per = 2 * np.pi * r * np.sqrt(1 + np.gradient(r) ** 2) * case.density / 1e6
    else:
        per = np.pi * r**2 * case.density / 1e9
    n = rng.poisson(per.sum())
    at = np.interp(rng.uniform(0, per.sum(), n), np.cumsum(per), s)
    angle = rng.uniform(0, 2 * np.pi, n)
    rho = np.interp(at, s, r) * (np.sqrt(rng.random(n)) if case.label == "filled" else 1.0)
    line = np.column_stack([case.bend * np.sin(np.pi * s / s[-1]), 0 * s, s])
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    here = np.column_stack([np.interp(at, s, c) for c in line.T])
    t = np.column_stack([np.interp(at, s, c) for c in tangent.T])
    e1 = np.column_stack([t[:, 2], 0 * at, -t[:, 0]])
    e2 = np.cross(t, e1)
    true = here + rho[:, None] * (np.cos(angle)[:, None] * e1 + np.sin(angle)[:, None] * e2)
    if case.linker:
        way = rng.normal(size=true.shape)
        true += case.linker * way / np.linalg.norm(way, axis=1, keepdims=True)
    count = 1 + rng.poisson(case.blinks - 1, n)
    molecule = np.repeat(np.arange(n), count)
    n_back = rng.poisson(len(molecule) * case.background / (1 - case.background))
    low, high = true.min(axis=0) - 150, true.max(axis=0) + 150
    true = np.concatenate([true[molecule], rng.uniform(low, high, (n_back, 3))])
    molecule = np.concatenate([molecule, n + np.arange(n_back)])
    turn = Rotation.random(random_state=rng).as_matrix()
    sigma = np.array([case.xy, case.xy, case.z]) * rng.lognormal(0, 0.2, (len(true), 1))
    xyz = true @ turn.T + rng.normal(size=true.shape) * sigma
    rough = line[::20] + rng.normal(size=(len(line[::20]), 3)) * [10, 10, 0]
    rough[:, :2] += rng.normal(size=2) * 15 + (rough[:, 2:] - s[-1] / 2) * rng.normal(size=2) * 0.07
    neck = (at > case.foot) & (at < case.foot + case.neck)
    return {
        "xyz": xyz, "sigma": sigma, "molecule": molecule, "centreline": rough @ turn.T,
        "n_neck": int(neck.sum()), "turn": turn,
    }  # fmt: skip


def information(case: Case, s: dict) -> np.ndarray:
    """Fisher information of the points beside the straight stretch at the truth, shape (8, 8)."""
    molecules = gather(s["xyz"], s["sigma"], s["molecule"])
    xyz = molecules.xyz_nm @ s["turn"]
    variance = molecules.precision_nm**2 + case.linker**2 / 3
    error = np.einsum("ji,nj,jk->nik", s["turn"], variance, s["turn"])
    place, profile = radius_profile(case)
    xyz[:, 0] -= case.bend * np.sin(np.pi * xyz[:, 2] / place[-1])
    radius = np.interp(xyz[:, 2], place, profile)
    covariance = np.stack([error[:, 0, 0], error[:, 0, 1], error[:, 1, 1]], axis=1)
    reach = reach_nm(radius, covariance)
    kept = np.abs(xyz[:, 2] - case.foot - case.neck / 2) < case.neck / 2
    kept &= np.hypot(xyz[:, 0], xyz[:, 1]) < reach
    x = 2 * (xyz[kept, 2] - case.foot) / case.neck - 1
    found = scores(
        xyz[kept, :2], covariance[kept], x, radius[kept], reach[kept], case.label == "filled"
    )
    return found.T @ found


def study(case: Case, repeats: int, seed: int = 0) -> dict:
    found, cover, refused, used, molecules = [], 0, 0, 0.0, []
    informed = np.zeros((8, 8))
    for number in range(repeats):
        rng = np.random.default_rng([seed, number])
        s = specimen(case, rng)
        informed += information(case, s) / repeats
        molecules.append(s["n_neck"])
        before = time.process_time()
        p = measure_neck(
            s["xyz"], s["centreline"], precision_nm=s["sigma"], label=case.label,
            molecule=s["molecule"] if case.known else None, linker_nm=case.linker,
        )  # fmt: skip
        used += time.process_time() - before
        if not p.measurable:
            refused += 1
            continue
        c = p.constriction
        found.append(c.diameter_nm)
        cover += c.low_nm <= case.diameter <= c.high_nm
    values = np.array(found) if found else np.array([np.nan])
    rmse = float(np.sqrt(np.mean((values - case.diameter) ** 2)))
    shape, some = 2 if case.taper else 3 if case.waist else 1, case.background > 0
    crb = bound_nm(case.diameter, informed, shape, some)
    return {
        "bias": values.mean() - case.diameter, "sd": values.std(), "rmse": rmse, "crb": crb,
        "even": bound_nm(case.diameter, informed, 1, some), "ratio": rmse / crb, "refused": refused,
        "cover": cover / len(found) if found else np.nan, "seconds": used / repeats,
        "n_neck": float(np.mean(molecules)),
    }  # fmt: skip


CASES = [
    Case(40, 3, 6, 2500), Case(40, 10, 20, 2500), Case(60, 10, 20, 1000),
    Case(100, 10, 20, 1000), Case(100, 20, 40, 2500), Case(150, 10, 20, 300, background=0.1),
    Case(200, 25, 50, 1000), Case(300, 10, 20, 150, head=800), Case(300, 2, 5, 1000, head=800),
    Case(100, 10, 20, 1000, waist=0.2), Case(100, 10, 20, 1000, taper=0.2),
    Case(150, 10, 20, 2500, waist=0.4), Case(100, 10, 20, 1000, bend=60),
    Case(100, 10, 20, 1000, known=False),
    Case(60, 5, 10, 100000, "filled"), Case(100, 10, 20, 20000, "filled"),
    Case(200, 10, 20, 10000, "filled"), Case(300, 25, 50, 5000, "filled", head=800),
    Case(100, 10, 20, 1000, background=0.0), Case(100, 10, 20, 1000, linker=15.0),
    Case(40, 25, 50, 5000), Case(100, 10, 20, 5000), Case(100, 10, 20, 300),
    Case(100, 10, 20, 100), Case(300, 10, 20, 100, head=800, background=0.1),
    Case(150, 10, 20, 600, taper=0.1), Case(150, 10, 20, 600, waist=0.1),
    Case(200, 10, 20, 20000, "filled", waist=0.2),
    Case(40, 10, 20, 2500, head=0), Case(80, 10, 20, 1000, head=0), Case(120, 20, 40, 1000, head=0),
    Case(160, 10, 20, 100, head=0, neck=2000), Case(250, 15, 30, 150, head=0),
    Case(200, 10, 20, 10000, "filled", head=0),
]  # fmt: skip


def main() -> None:
    given = sys.argv[1:] + ["40", "0", ",".join(map(str, range(len(CASES))))][len(sys.argv) - 1 :]
    repeats, seed = int(given[0]), int(given[1])
    print("| neck nm | precision xy/z nm | density /um2 or um3 | label | molecules | bias nm "
          "| RMSE nm | even nm | bound nm | ratio | coverage | refused | CPU s |")  # fmt: skip
    print("|" + "---|" * 13)
    for case in (CASES[int(number)] for number in given[2].split(",")):
        r = study(case, repeats, seed)
        extra = "".join(f" {name} {getattr(case, name):g}"
                        for name in ("bend", "waist", "taper", "linker")
                        if getattr(case, name))  # fmt: skip
        extra += "" if case.head else " tube"
        extra += "" if case.known else ", molecules unknown"
        extra += "" if case.background == 0.05 else f", background {case.background:.0%}"
        print(
            f"| {case.diameter:g} | {case.xy:g}/{case.z:g} | {case.density:g} | {case.label}"
            f"{extra} | {r['n_neck']:.0f} | {r['bias']:+.1f} | {r['rmse']:.1f} | {r['even']:.1f} "
            f"| {r['crb']:.1f} | {r['ratio']:.2f} | {r['cover']:.0%} | {r['refused']} "
            f"| {r['seconds']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
