"""What a deep model expects and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError

__all__ = ["DeepModel", "ModelSpec"]

Float32Array = npt.NDArray[np.float32]

_NORMALISATIONS = ("none", "minmax", "minmax_signed", "zscore", "percentile", "log1p_half")


@dataclass(frozen=True)
class ModelSpec:
    """What a model expects and gives.

    Parameters
    ----------
    outputs : tuple of str
        Names of the output channels, such as ("dendrite", "spine"); for labels ("labels",).
    dims : int
        2: the model sees planes, (n, channels, y, x); 3: volumes, (n, channels, z, y, x).
    voxel_nm : tuple of float, optional
        z, y, x that the model was trained at; None, also for one axis, takes the grid as it is.
    normalisation : str
        none, minmax (to 0..1), minmax_signed (to -1..1), zscore, percentile (`percentiles` to
        0..1) or log1p_half (log1p / 2, of counts). A constant input becomes zeros, never NaN.
    percentiles : tuple of float
        See `normalisation`.
    per_plane : bool
        Normalise each plane (or volume: the whole) by itself.
    plane_offsets : tuple of int
        For planes: neighbours that are given as channels, in voxels; (0,) is the plane alone.
    planes_along : tuple of str
        For planes: axes that they are cut across; predictions are averaged.
    tile : tuple of int
        Most voxels along each axis that a model is given at once, halo included.
    halo : int
        Voxels at the edge of a tile whose output is not trusted.
    divisor : int
        Sizes are padded to multiples of it.
    fixed_tile : bool
        The model takes inputs of exactly the size `tile`.
    counts : bool
        Values are counts: sums are kept when they are resampled, as are intensities otherwise.
    kind : str
        `probabilities` or `labels` (class numbers).
    threshold : float
        Above it a probability counts.
    classes : dict, optional
        For labels: from number to role; see `from_classes`.
    activation : str
        none, sigmoid or softmax (over the outputs): what makes probabilities of the values that
        the model gives. Many networks give logits.
    """

    outputs: tuple[str, ...] = ("dendrite", "spine")
    dims: int = 3
    voxel_nm: tuple[float | None, float | None, float | None] | None = None
    normalisation: str = "none"
    percentiles: tuple[float, float] = (1.0, 99.8)
    per_plane: bool = False
    plane_offsets: tuple[int, ...] = (0,)
    planes_along: tuple[str, ...] = ("z",)
    tile: tuple[int, ...] = (512, 512)
    halo: int = 16
    divisor: int = 1
    fixed_tile: bool = False
    counts: bool = False
    kind: str = "probabilities"
    threshold: float = 0.5
    classes: dict[int, str] | None = None
    activation: str = "none"

    def __post_init__(self) -> None:
        if self.dims not in (2, 3):
            raise ConfigError(f"ModelSpec: dims of 2 or 3 was expected, found {self.dims}.")
        if self.normalisation not in _NORMALISATIONS:
            raise ConfigError(
                f"ModelSpec: normalisation of {', '.join(_NORMALISATIONS)} was expected, found "
                f"{self.normalisation!r}."
            )
        if self.kind not in ("probabilities", "labels"):
            raise ConfigError(
                f"ModelSpec: kind of probabilities or labels was expected, found {self.kind!r}."
            )
        if self.activation not in ("none", "sigmoid", "softmax"):
            raise ConfigError(
                "ModelSpec: activation of none, sigmoid or softmax was expected, found "
                f"{self.activation!r}."
            )
        if not set(self.planes_along) <= {"z", "y", "x"} or not self.planes_along:
            raise ConfigError("ModelSpec: planes_along takes z, y and x.")
        inner = [
            (size // max(self.divisor, 1)) * self.divisor - 2 * self.halo for size in self.tile
        ]
        if self.divisor < 1 or self.halo < 0 or min(inner, default=0) < 1:
            raise ConfigError(
                "ModelSpec: tiles larger than two halos were expected, found tile "
                f"{self.tile}, halo {self.halo}, divisor {self.divisor}."
            )


@runtime_checkable
class DeepModel(Protocol):
    """What runs a model: `spec` and a call on float32 arrays, nothing else.

    Input is (n, channels, y, x) for planes and (n, 1, z, y, x) for volumes; output has the channels
    of ``spec.outputs`` in place of the input's.
    """

    @property
    def spec(self) -> ModelSpec:
        """What the model expects and gives."""
        ...

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the model."""
        ...
