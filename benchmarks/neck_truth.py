"""Necks of known diameter: bias, RMSE against the Cramer-Rao bound, coverage of the intervals.

Surfaces of revolution (shaft joint, straight neck, round head) are labelled, localized with
blinks and background, turned at random against the axis of the poorer precision, and measured
with a centreline that is off by 15 nm and 4 degrees and jitters by 10 nm.

    python benchmarks/neck_truth.py [repeats]

The bound: molecules of the straight stretch of neck, each with the precision of its mean, radius
and centre of one ring (disc) unknown. It is the bound for an estimator that knows that the neck
is straight and even; the estimator measured here does not.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from nanospine.spines.neck import measure_neck
from nanospine.spines.ring import likelihood_terms


@dataclass(frozen=True)
class Case:
    diameter: float
    xy: float
    z: float
    density: float  # per um2 (membrane) or um3 (filled)
    label: str = "membrane"
    background: float = 0.05
    blinks: float = 3.0
    head: float = 500.0
    neck: float = 450.0
    bend: float = 0.0
    known: bool = True
    waist: float = 0.0  # the ends of the neck are wider than its middle by this fraction
    taper: float = 0.0  # the far end of the neck is wider than the near one by this fraction


def radius_profile(case: Case) -> tuple[np.ndarray, np.ndarray]:
    """Radius along the axis: a flare of 60 nm at the shaft, the neck, a round head."""
    r, big = case.diameter / 2, case.head / 2
    flare = 60.0
    start = case.neck + flare
    end = r * (1 + case.waist + case.taper)
    cut = np.sqrt(max(big**2 - end**2, 0.0))
    s = np.arange(0.0, start + cut + big, 1.0)
    radius = np.full(len(s), r)
    along = np.clip((s - flare) / case.neck, 0.0, 1.0)
    radius *= 1 + case.waist * (2 * along - 1) ** 2 + case.taper * along
    base = s < flare
    radius[base] += flare - np.sqrt(flare**2 - (flare - s[base]) ** 2)
    head = s > start
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
    neck = (at > 60) & (at < 60 + case.neck)
    return {
        "xyz": xyz, "sigma": sigma, "molecule": molecule, "centreline": rough @ turn.T,
        "n_neck": int(neck.sum()), "turn": turn,
    }  # fmt: skip


def bound(case: Case, rng: np.random.Generator, n: int = 4000) -> float:
    """Cramer-Rao bound of the diameter for one molecule; divide by sqrt(molecules)."""
    r = case.diameter / 2
    angle, filled = rng.uniform(0, 2 * np.pi, n), case.label == "filled"
    rho = r * (np.sqrt(rng.random(n)) if filled else np.ones(n))
    direction = Rotation.random(n, random_state=rng).as_matrix()
    cov3 = direction @ np.diag([case.xy**2, case.xy**2, case.z**2]) @ direction.transpose(0, 2, 1)
    count = 1 + rng.poisson(case.blinks - 1, n)
    cov2 = cov3[:, :2, :2] / count[:, None, None]
    uv = rho[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    uv += np.einsum("nij,nj->ni", np.linalg.cholesky(cov2), rng.normal(size=(n, 2)))
    covariance = np.stack([cov2[:, 0, 0], cov2[:, 0, 1], cov2[:, 1, 1]], axis=1)
    zero, one = np.zeros(n), np.ones(n)
    score = likelihood_terms(uv, covariance, np.zeros((n, 2)), r * one, zero, 1e-9 * one, filled)[2]
    return 2 * r * float(np.sqrt(np.linalg.inv(score.T @ score / n)[2, 2]))


def study(case: Case, repeats: int, seed: int = 0) -> dict:
    found, cover, refused, used, bounds, at = [], 0, 0, 0.0, [], []
    one = bound(case, np.random.default_rng(1))
    for number in range(repeats):
        rng = np.random.default_rng([seed, number])
        s = specimen(case, rng)
        before = time.process_time()
        p = measure_neck(
            s["xyz"], s["centreline"], precision_nm=s["sigma"], label=case.label,
            molecule=s["molecule"] if case.known else None,
        )  # fmt: skip
        used += time.process_time() - before
        if not p.measurable:
            refused += 1
            continue
        c = p.constriction
        found.append(c.diameter_nm)
        at.append(c.position_nm)
        bounds.append(one / np.sqrt(max(s["n_neck"], 1)))
        cover += c.low_nm <= case.diameter <= c.high_nm
    values = np.array(found) if found else np.array([np.nan])
    rmse = float(np.sqrt(np.mean((values - case.diameter) ** 2)))
    crb = float(np.sqrt(np.mean(np.square(bounds)))) if bounds else np.nan
    return {
        "bias": values.mean() - case.diameter, "sd": values.std(), "rmse": rmse, "crb": crb,
        "ratio": rmse / crb, "cover": cover / max(len(found), 1), "refused": refused,
        "seconds": used / repeats, "n_neck": s["n_neck"],
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
]  # fmt: skip


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    print("| neck nm | precision xy/z nm | density /um2 or um3 | label | molecules | bias nm "
          "| RMSE nm | bound nm | ratio | coverage | refused | CPU s |")  # fmt: skip
    print("|" + "---|" * 12)
    for case in CASES:
        r = study(case, repeats)
        extra = "".join(f" {name}" for name in ("bend", "waist", "taper") if getattr(case, name))
        extra += "" if case.known else ", molecules unknown"
        print(
            f"| {case.diameter:g} | {case.xy:g}/{case.z:g} | {case.density:g} | {case.label}"
            f"{extra} | {r['n_neck']} | {r['bias']:+.1f} | {r['rmse']:.1f} | {r['crb']:.1f} | "
            f"{r['ratio']:.2f} | {r['cover']:.0%} | {r['refused']} | {r['seconds']:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
