"""Two channels of molecules of which a planted share is coupled at a planted distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from nanospine.core.errors import GeometryError
from nanospine.core.history import entry
from nanospine.core.region import MeshRegion, Region
from nanospine.simulate.labelling import SimulatedLocalizations

__all__ = ["SynapseTruth", "synapses"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SynapseTruth:
    """What is true of two simulated channels.

    Attributes
    ----------
    pairs : pandas.DataFrame
        `index_pre`, `index_post` (rows within each channel) and `distance_nm` of coupled pairs.
    coupled_fraction : float
        Share of the post molecules that are coupled, as it came out.
    distance_nm, distance_std_nm : float
        Mean and standard deviation of the coupled distances, as they came out.
    """

    pairs: pd.DataFrame
    coupled_fraction: float
    distance_nm: float
    distance_std_nm: float


def synapses(
    region: object,
    *,
    n_pre: int = 500,
    n_post: int = 500,
    coupled_fraction: float = 0.5,
    distance_nm: float = 100.0,
    distance_std_nm: float = 30.0,
    seed: int = 0,
) -> SimulatedLocalizations:
    """Simulate a presynaptic and a postsynaptic channel.

    Presynaptic molecules are uniform in the region. The share `coupled_fraction` of the
    postsynaptic ones stands at |N(distance_nm, distance_std_nm)| in a random direction from a
    presynaptic molecule of its own (drawn again until it lies in the region); the others are
    uniform.

    Parameters
    ----------
    region : Region, Shape or trimesh.Trimesh
        Where the molecules can be.
    n_pre, n_post : int
        Molecules in each channel; at most `n_pre` can be coupled.
    coupled_fraction : float
        Of the postsynaptic molecules.
    distance_nm, distance_std_nm : float
        Of the coupled pairs.
    seed : int
        Everything drawn is drawn from it.

    Returns
    -------
    SimulatedLocalizations
        With `channel` "pre" and "post" and a :class:`SynapseTruth` in `.truth`.

    Examples
    --------
    >>> from nanospine import Box
    >>> locs = synapses(Box((0, 0, 0), (5000, 5000, 500)), coupled_fraction=0.4, seed=1)
    >>> locs.channels, len(locs.truth.pairs)
    (('post', 'pre'), 200)
    """
    window = _region_of(region)
    if not 0 <= coupled_fraction <= 1:
        raise GeometryError(f"synapses: coupled_fraction in [0, 1], found {coupled_fraction}.")
    n_coupled = round(coupled_fraction * n_post)
    if n_coupled > n_pre:
        raise GeometryError(
            f"synapses: {n_coupled} coupled postsynaptic molecules need as many presynaptic ones, "
            f"found n_pre = {n_pre}."
        )
    generator = np.random.default_rng(seed)
    pre = window.sample_nm(n_pre, generator)
    partner = generator.permutation(n_pre)[:n_coupled]
    coupled = _beside(pre[partner], window, distance_nm, distance_std_nm, generator)
    post = np.vstack([coupled, window.sample_nm(n_post - n_coupled, generator)])
    order = generator.permutation(n_post)
    place = np.argsort(order)
    distances = np.linalg.norm(coupled - pre[partner], axis=1)
    pairs = pd.DataFrame(
        {"index_pre": partner, "index_post": place[:n_coupled], "distance_nm": distances}
    )
    xyz = np.vstack([pre, post[order]])
    table = pd.DataFrame(dict(zip(("x_nm", "y_nm", "z_nm"), xyz.T, strict=False)))
    table["channel"] = ["pre"] * n_pre + ["post"] * n_post
    truth = SynapseTruth(
        pairs,
        n_coupled / max(n_post, 1),
        float(distances.mean()) if n_coupled else float("nan"),
        float(distances.std()) if n_coupled else float("nan"),
    )
    arguments = {
        "n_pre": n_pre, "n_post": n_post, "coupled_fraction": coupled_fraction,
        "distance_nm": distance_nm, "distance_std_nm": distance_std_nm, "seed": seed,
    }  # fmt: skip
    step = entry("simulate.synapses", arguments, n_after=len(table))
    return SimulatedLocalizations(table, window, (step,), truth)


def _region_of(region: object) -> Region:
    if isinstance(region, Region):
        return region
    mesh = getattr(region, "mesh", region)
    return MeshRegion(mesh)


def _beside(
    centre: FloatArray, window: Region, mean: float, std: float, generator: np.random.Generator
) -> FloatArray:
    """Points at |N(mean, std)| from the centres, inside the window."""
    result = centre.copy()
    open_ = np.arange(len(centre))
    for _ in range(1000):
        if len(open_) == 0:
            return result
        way = generator.normal(size=(len(open_), centre.shape[1]))
        way /= np.linalg.norm(way, axis=1, keepdims=True)
        away = np.abs(generator.normal(mean, std, len(open_)))
        trial = centre[open_] + away[:, None] * way
        inside = window.contains(trial)
        result[open_[inside]] = trial[inside]
        open_ = open_[~inside]
    raise GeometryError(
        f"synapses: {len(open_)} partners at {mean:g} nm do not fit into the region; "
        "use a smaller distance_nm or a larger region."
    )
