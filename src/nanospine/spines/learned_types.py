"""Types of spines as experts name them: probabilities from the shape of the surface.

A multinomial logistic regression on sixteen numbers of a spine's surface. It was trained on
spines that eight experts had named and on simulated ones; `benchmarks/train_types.py` makes the
model file anew. Rules say what a type *is* (:func:`nanospine.classify`); this says what a person
would call it, and how sure that is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import trimesh
from scipy.sparse import csgraph

from nanospine.core.errors import GeometryError
from nanospine.spines.levels import vertex_areas_nm2
from nanospine.spines.metrics import rim_edges, surface_metrics
from nanospine.spines.model import Spines
from nanospine.spines.split import edge_graph

__all__ = ["FEATURES", "TypeModel", "shape_features", "type_model", "type_probabilities"]

FloatArray = npt.NDArray[np.float64]

_MODEL = "types_v1.json"
_LEVELS = 10

#: The numbers that the model looks at; logarithms are of nm, nm² and nm³.
FEATURES: dict[str, str] = {
    "log_length": "longest way along the surface from the junction",
    "log_area": "area",
    "log_volume": "volume",
    "log_hull_ratio": "(hull - volume) / volume, at least 0.05",
    "cvd": "variation of the distance from the junction",
    "open_angle_rad": "mean angle between directions from the junction",
    "log_elongation": "elongation of the surface",
    "log_junction": "area of the junction",
    "log_head": "largest width of the outer half, in lengths",
    "log_neck": "least width of the inner 60 %, in lengths",
    "log_head_neck": "largest width of the outer half over the least of the inner",
    "log_base": "width of the first tenth, in lengths",
    "widest_at": "tenth of the length in which it is widest",
    "log_slenderness": "length³ / volume",
    "log_junction_share": "area of the junction / area",
    "log_head_width": "largest width of the outer half, nm",
}


@dataclass(frozen=True, eq=False)
class TypeModel:
    """A multinomial logistic regression: p = softmax(coefficients (x - mean) / scale + intercept).

    Attributes
    ----------
    types : tuple of str
    mean, scale : ndarray, shape (k,)
    coefficients : ndarray, shape (types, k)
    intercept : ndarray, shape (types,)
    about : dict
        What it was trained on and how well it did.
    """

    types: tuple[str, ...]
    mean: FloatArray
    scale: FloatArray
    coefficients: FloatArray
    intercept: FloatArray
    about: dict[str, Any]

    def probabilities(self, features: FloatArray) -> FloatArray:
        """Give the probability of each type, shape (n, types)."""
        score = ((features - self.mean) / self.scale) @ self.coefficients.T + self.intercept
        score = np.exp(score - score.max(axis=1, keepdims=True))
        return np.asarray(score / score.sum(axis=1, keepdims=True))


@cache
def type_model() -> TypeModel:
    """Give the model that is shipped.

    Examples
    --------
    >>> type_model().types
    ('mushroom', 'stubby', 'thin')
    """
    text = files("nanospine.spines").joinpath("models").joinpath(_MODEL).read_text("utf-8")
    data = json.loads(text)
    mean, scale, coefficients, intercept = (
        np.array(data[name], dtype=np.float64)
        for name in ("mean", "scale", "coefficients", "intercept")
    )
    return TypeModel(
        tuple(data["types"]), mean, scale, coefficients, intercept, dict(data["about"])
    )


def type_probabilities(spines: Spines, *, model: TypeModel | None = None) -> pd.DataFrame:
    """Tell how likely experts would call each spine stubby, thin or mushroom.

    Parameters
    ----------
    spines : Spines
        From :func:`nanospine.find_spines`.
    model : TypeModel, optional
        Another model than the shipped one.

    Returns
    -------
    pandas.DataFrame
        A row per spine: `spine`, `p_mushroom`, `p_stubby`, `p_thin`, `likely_type`. Filopodia
        are among the thin ones, and heads of a branched spine are not told apart: the experts'
        three classes have no name for them.

    Examples
    --------
    >>> import nanospine as ns
    >>> spines = ns.find_spines(ns.simulate.spine("mushroom", seed=1).mesh)
    >>> type_probabilities(spines)["likely_type"].tolist()
    ['mushroom']
    """
    model = type_model() if model is None else model
    rows = np.array([shape_features(spine.mesh) for spine in spines.spines])
    found = model.probabilities(rows.reshape(-1, len(FEATURES)))
    table = pd.DataFrame({"spine": [spine.id for spine in spines.spines]}, dtype=np.int64)
    for name, column in zip(model.types, found.T, strict=True):
        table[f"p_{name}"] = column
    table["likely_type"] = [model.types[i] for i in found.argmax(axis=1)] if len(found) else []
    return table


def shape_features(part: trimesh.Trimesh) -> FloatArray:
    """Give the numbers of :data:`FEATURES` of an open piece of surface, shape (16,).

    Parameters
    ----------
    part : trimesh.Trimesh
        A spine cut off its shaft, nm; its rim is the junction.

    Raises
    ------
    GeometryError
        When the piece has no rim: nothing says where the junction is.
    """
    rim = rim_edges(part)
    if len(rim) == 0:
        raise GeometryError(
            "shape_features: a surface that is open where the spine stood was expected, found a "
            "closed one."
        )
    metrics = surface_metrics(part)
    graph = edge_graph(part)
    distance = csgraph.dijkstra(graph, directed=False, indices=np.unique(rim), min_only=True)
    reached = np.isfinite(distance)
    length = float(distance[reached].max())
    area = vertex_areas_nm2(part)
    ring, _ = np.histogram(
        distance[reached] / length, bins=_LEVELS, range=(0, 1), weights=area[reached]
    )
    # Perimeter over pi, in lengths: a width that needs no cross-sections
    width = np.maximum(ring / (length / _LEVELS) / np.pi / length, 1e-3)
    head, neck = width[4:9].max(), width[0:6].min()
    volume = max(metrics["volume_nm3"], 1e6)
    hull = metrics["hull_ratio"]
    values = (
        np.log(length), np.log(metrics["area_nm2"]), np.log(volume),
        np.log(max(hull if np.isfinite(hull) else 0.0, 0.05)), metrics["cvd"],
        metrics["open_angle_rad"], np.log(metrics["elongation"]),
        np.log(max(metrics["junction_area_nm2"], 1.0)), np.log(head), np.log(neck),
        np.log(head / width[1:6].min()), np.log(width[0]), float(width[2:].argmax()),
        np.log(length**3 / volume), np.log(max(metrics["junction_area_nm2"], 1.0)
        / metrics["area_nm2"]), np.log(head * length),
    )  # fmt: skip
    return np.array(values)
