"""SODA by brute force, to compare with: every pair, and rings by uniform sampling of the region."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from nanospine.core.region import Region

__all__ = ["slow_colocalization", "slow_excess", "slow_overlap", "slow_ring_counts", "slow_volumes"]

FloatArray = npt.NDArray[np.float64]


def slow_ring_counts(queries: FloatArray, points: FloatArray, edges: FloatArray) -> FloatArray:
    """Count points in each ring around each query, shape (q, m)."""
    result = np.zeros((len(queries), len(edges) - 1))
    for q, query in enumerate(queries):
        for point in points:
            distance = float(np.sqrt(((query - point) ** 2).sum()))
            for k in range(len(edges) - 1):
                if edges[k] <= distance < edges[k + 1]:
                    result[q, k] += 1
    return result


def slow_volumes(
    points: FloatArray, region: Region, edges: FloatArray, n: int, seed: int
) -> FloatArray:
    """Part of all rings inside the region over the region's size: mean counts of random places."""
    places = region.sample_nm(n, seed)
    distance = np.linalg.norm(places[:, None] - points, axis=2)
    return np.array(
        [((distance >= low) & (distance < high)).sum() / n for low, high in pairwise(edges)]
    )


def slow_overlap(
    points: FloatArray, region: Region, edges: FloatArray, n: int, seed: int
) -> FloatArray:
    """Other points in ring k around a partner in ring l, by partners thrown one at a time."""
    rng = np.random.default_rng(seed)
    dimension, m = points.shape[1], len(edges) - 1
    result = np.zeros((m, m))
    for ring in range(m):
        origin = np.repeat(np.arange(len(points)), n)
        way = rng.normal(size=(len(origin), dimension))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        low, high = edges[ring] ** dimension, edges[ring + 1] ** dimension
        radius = rng.uniform(low, high, len(origin)) ** (1 / dimension)
        places = points[origin] + way * radius[:, None]
        inside = region.contains(places)
        origin, places = origin[inside], places[inside]
        # Every point counts the same, however little of its ring is inside.
        weight = 1 / np.bincount(origin, minlength=len(points))[origin]
        weight /= weight.sum()
        distance = np.linalg.norm(places[:, None] - points, axis=2)
        distance[np.arange(len(places)), origin] = np.inf
        for k in range(m):
            hits = ((distance >= edges[k]) & (distance < edges[k + 1])).sum(axis=1)
            result[k, ring] = (weight * hits).sum()
    return result


def slow_excess(
    a: FloatArray, b: FloatArray, region: Region, edges: FloatArray, n: int, seed: int
) -> FloatArray:
    """Coupled pairs per ring: counted pairs less chance, through the centred overlap matrix."""
    mean = slow_volumes(a, region, edges, n, seed)
    matrix = np.eye(len(mean)) + slow_overlap(a, region, edges, max(n // len(a), 1), seed + 1)
    counts = slow_ring_counts(b, a, edges).sum(axis=0)
    return np.asarray(np.linalg.solve(matrix - mean[:, None], counts - len(b) * mean))


def slow_colocalization(a: FloatArray, b: FloatArray, radius: float, n_steps: int) -> FloatArray:
    """Coordinate-based colocalization of each point of `a`, point by point."""
    from scipy.stats import spearmanr

    steps = np.linspace(0, radius, n_steps + 1)[1:]
    result = np.full(len(a), np.nan)
    for i, point in enumerate(a):
        own = np.delete(np.linalg.norm(a - point, axis=1), i)
        across = np.linalg.norm(b - point, axis=1)
        profiles = []
        for distance in (own, across):
            counts = np.array([(distance <= r).sum() for r in steps], dtype=np.float64)
            if counts[-1] == 0:
                break
            profiles.append(np.round(counts / counts[-1] * (radius / steps) ** a.shape[1], 9))
        if len(profiles) == 2 and all(np.ptp(item) > 0 for item in profiles):
            rank = spearmanr(profiles[0], profiles[1]).statistic
            result[i] = rank * np.exp(-across.min() / radius)
    return result
