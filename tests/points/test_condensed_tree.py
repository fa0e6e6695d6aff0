"""Clusters out of a spanning tree: scikit-learn's choice on the same tree is the oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix
from sklearn.cluster import HDBSCAN
from sklearn.metrics import adjusted_rand_score

from nanospine.points.condensed_tree import stable_clusters
from nanospine.points.spanning_tree import spanning_tree


def sklearns(a: np.ndarray, b: np.ndarray, length: np.ndarray, least: int) -> np.ndarray:
    n = len(a) + 1
    ends = np.concatenate([a, b]).astype(np.int32), np.concatenate([b, a]).astype(np.int32)
    graph = coo_matrix((np.concatenate([length, length]), ends), shape=(n, n)).tocsr()
    # its cluster_selection_epsilon fails with NumPy 2.4
    model = HDBSCAN(min_cluster_size=least, min_samples=1, metric="precomputed", copy=True)
    return np.asarray(model.fit(graph).labels_)


def recursion(
    a: np.ndarray, b: np.ndarray, length: np.ndarray, least: int, epsilon: float
) -> np.ndarray:
    """Split by the longest edge again and again, as the definition says."""
    edges = sorted(zip(length, a, b, strict=True), key=lambda edge: edge[0])
    labels = np.full(len(a) + 1, -1)

    def parts(points: set[int], own: list) -> list[tuple[set[int], list]]:
        *rest, (_, start, _) = own
        one = {start}
        while grown := {v for _, u, w in rest for v in (u, w) if {u, w} & one} - one:
            one |= grown
        other = points - one
        return [(part, [edge for edge in rest if edge[1] in part]) for part in (one, other)]

    def grow(
        points: set[int], own: list, born: float
    ) -> tuple[float, list[tuple[set[int], float]]]:
        """Stability of the best choice within a cluster, and that choice."""
        everyone, stability, since = set(points), 0.0, 1 / born
        while own:
            cut = own[-1][0]
            halves = parts(points, own)
            big = [half for half in halves if len(half[0]) >= least]
            if len(big) == 1:
                stability += (1 / cut - since) * (len(points) - len(big[0][0]))
                points, own = big[0]
                continue
            stability += (1 / cut - since) * len(points)
            if not big:
                break
            inner = [grow(*half, cut) for half in big]
            if born == np.inf or sum(item[0] for item in inner) > stability:
                return sum(item[0] for item in inner), [x for item in inner for x in item[1]]
            break
        return stability, [] if born == np.inf else [(everyone, born)]

    def wide(points: set[int], own: list, born: float) -> list[tuple[set[int], float]]:
        """All clusters, from the whole down."""
        found = [(set(points), born)]
        while own:
            cut = own[-1][0]
            big = [half for half in parts(points, own) if len(half[0]) >= least]
            if len(big) != 1:
                return found + [x for half in big for x in wide(*half, cut)]
            points, own = big[0]
        return found

    everything = set(range(len(a) + 1))
    _, chosen = grow(everything, edges, np.inf)
    every = wide(everything, edges, np.inf)[1:]
    final: list[set[int]] = []
    for points, born in chosen:
        if born < epsilon:
            around = sorted((x for x in every if points <= x[0]), key=lambda x: len(x[0]))
            points = next((x[0] for x in around[1:] if x[1] > epsilon), around[-1][0])
        if points not in final:
            final.append(points)
    for number, points in enumerate(final):
        labels[list(points)] = number
    return labels


def scattered(seed: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centre = rng.uniform(0, 1000, (rng.integers(1, 9), 2))
    spread = rng.uniform(5, 60, len(centre))
    which = rng.integers(0, len(centre), n)
    xyz = centre[which] + rng.normal(size=(n, 2)) * spread[which, None]
    xyz[: n // 4] = rng.uniform(0, 1000, (n // 4, 2))
    return xyz


def same(ours: np.ndarray, theirs: np.ndarray) -> None:
    np.testing.assert_array_equal(ours == -1, theirs == -1)
    assert adjusted_rand_score(ours, theirs) == pytest.approx(1)
    assert set(ours[ours >= 0]) == set(range(ours.max() + 1))


@settings(max_examples=50)
@given(seed=st.integers(0, 10**6), least=st.integers(2, 12), n=st.integers(30, 400))
def test_same_clusters_as_sklearn(seed: int, least: int, n: int) -> None:
    a, b, length = spanning_tree(scattered(seed, n), 1)
    same(stable_clusters(a, b, length, least), sklearns(a, b, length, least))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    least=st.integers(3, 9),
    epsilon=st.sampled_from([0.0, 15.0, 40.0, 80.0, 300.0]),
)
def test_same_clusters_as_the_definition(seed: int, least: int, epsilon: float) -> None:
    a, b, length = spanning_tree(scattered(seed, 80), 1)
    same(stable_clusters(a, b, length, least, epsilon), recursion(a, b, length, least, epsilon))


def test_points_that_coincide() -> None:
    xyz = np.repeat([[0.0, 0], [500, 0], [0, 700]], 20, axis=0)
    a, b, length = spanning_tree(xyz, 1)
    labels = stable_clusters(a, b, length, 5)
    assert [len(set(part)) for part in np.split(labels, 3)] == [1, 1, 1]
    assert set(labels) == {0, 1, 2}


def test_what_never_splits_is_no_cluster() -> None:
    xyz = np.column_stack([np.arange(20.0), np.zeros(20)])
    assert (stable_clusters(*spanning_tree(xyz, 1), 15) == -1).all()
