"""Keras networks in .h5 files, such as DeepD3's, run in torch without TensorFlow or Keras."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ReadError
from nanospine.io.safe_files import open_source
from nanospine.io.safe_hdf5 import Hdf5, open_hdf5
from nanospine.voxels.deep_adapters import model_faults, need
from nanospine.voxels.deep_spec import ModelSpec

__all__ = ["DEEPD3", "DeepD3Model"]

Float32Array = npt.NDArray[np.float32]

#: What a DeepD3 model expects: planes at 94 nm, each scaled to -1..1 by itself.
DEEPD3 = ModelSpec(
    outputs=("dendrite", "spine"),
    dims=2,
    voxel_nm=(None, 94.0, 94.0),
    normalisation="minmax_signed",
    per_plane=True,
    tile=(1024, 1024),
    halo=128,
    divisor=32,
    threshold=0.7,
)


class DeepD3Model:
    """A DeepD3 model file (`.h5`), run in torch.

    The network is rebuilt from the graph that Keras wrote into the file, whatever its number of
    levels and filters; nothing in the file is executed.

    Parameters
    ----------
    path : path-like
        As downloaded from deepd3.forschung.fau.de, which is the only place that has the weights.
    spec : ModelSpec, optional
        By default :data:`DEEPD3`, planes at 94 nm with z as it is.
    free_resolution : bool
        For the models without a fixed pixel size: the grid is not resampled.

    Raises
    ------
    ConfigError
        When torch is not installed.
    ReadError
        When the file is no Keras model or holds a layer that is not known here.

    Notes
    -----
    Fernholz et al. 2024, DeepD3. Constant planes, which give NaN there, give zeros' output here;
    tiles overlap by 128 pixels instead of 16.
    """

    def __init__(
        self, path: str | Path, spec: ModelSpec | None = None, *, free_resolution: bool = False
    ) -> None:
        torch = need("torch", "torch", "DeepD3Model")
        self._torch = torch
        chosen = DEEPD3 if spec is None else spec
        self.spec = replace(chosen, voxel_nm=None) if free_resolution else chosen
        self._where = Path(path).name
        with (
            model_faults(self._where, "is no Keras model that can be read"),
            open_hdf5(open_source(path)) as file,
        ):
            self._layers, self._inputs, self._outputs = _graph(file)
            self._weights = _weights(file, torch, self._layers)

    def __call__(self, batch: Float32Array) -> Float32Array:
        """Run the network."""
        with model_faults(self._where, f"cannot be run on {batch.shape}"):
            return self._run(batch)

    def _run(self, batch: Float32Array) -> Float32Array:
        torch = self._torch
        values: dict[str, Any] = {self._inputs: torch.from_numpy(np.ascontiguousarray(batch))}
        with torch.no_grad():
            for name, kind, config, before in self._layers:
                if name not in values:
                    given = [values[item] for item in before]
                    weights = self._weights.get(name, [])
                    values[name] = _run(torch, kind, given, config, weights)
            return np.asarray(
                torch.cat([values[name] for name in self._outputs], dim=1).numpy(),
                dtype=np.float32,
            )


_Layer = tuple[str, str, dict[str, Any], list[str]]


def _graph(file: Hdf5) -> tuple[list[_Layer], str, list[str]]:
    """Layers in order of computation, the name of the input, and those of the outputs."""
    text = file.attribute("/", "model_config")
    try:
        config = json.loads(text)["config"]
        entries = config["layers"]
        inputs, outputs = _ends(config["input_layers"]), _ends(config["output_layers"])
        layers: list[_Layer] = [
            (
                str(item.get("name") or item["config"]["name"]),
                str(item["class_name"]),
                item["config"],
                _before(item.get("inbound_nodes") or []),
            )
            for item in entries
        ]
    except (TypeError, KeyError, ValueError, IndexError) as error:
        raise ReadError(
            f"{file.where}: a Keras model saved with its graph (model.save to .h5) was expected; "
            "a file of weights alone cannot be rebuilt."
        ) from error
    unknown = sorted({kind for _, kind, _, _ in layers if kind not in _KINDS})
    if unknown:
        raise ReadError(
            f"{file.where}: layers of the kinds {', '.join(_KINDS)} are known here, "
            f"found {', '.join(unknown)}."
        )
    if len(inputs) != 1:
        raise ReadError(f"{file.where}: one input was expected, found {len(inputs)}.")
    return _ordered(layers, file.where), inputs[0], outputs


def _ends(entry: Any) -> list[str]:
    """Names in `input_layers`, which is [name, 0, 0] or a list of these."""
    if entry and isinstance(entry[0], str):
        return [entry[0]]
    return [str(item[0]) for item in entry]


def _before(nodes: list[Any]) -> list[str]:
    """Names of the layers that feed a layer, from the writing of Keras 2 or of Keras 3."""
    if not nodes:
        return []
    node = nodes[0]
    if isinstance(node, dict):
        return _histories(node.get("args", []))
    return [str(item[0]) for item in node]


def _histories(value: Any) -> list[str]:
    if isinstance(value, dict):
        history = value.get("config", {}).get("keras_history")
        return [str(history[0])] if history else []
    if isinstance(value, list):
        return [name for item in value for name in _histories(item)]
    return []


def _ordered(layers: list[_Layer], where: str) -> list[_Layer]:
    done: set[str] = set()
    result: list[_Layer] = []
    rest = list(layers)
    while rest:
        ready = [layer for layer in rest if all(name in done for name in layer[3])]
        if not ready:
            raise ReadError(f"{where}: the layers of the model feed each other in a circle.")
        result += ready
        done |= {layer[0] for layer in ready}
        rest = [layer for layer in rest if layer[0] not in done]
    return result


def _weights(file: Hdf5, torch: Any, layers: list[_Layer]) -> dict[str, list[Any]]:
    """Tensors of each layer: kernels turned from (h, w, in, out) to (out, in, h, w)."""
    result: dict[str, list[Any]] = {}
    for name, kind, config, _ in layers:
        names = file.attribute(f"/model_weights/{name}", "weight_names")
        found: dict[str, Any] = {}
        for item in [] if names is None else list(names):
            array = file.array(f"/model_weights/{name}/{item}").astype(np.float32)
            found[str(item).rsplit("/", 1)[-1].split(":")[0]] = array
        if kind == "Conv2D":
            if "kernel" not in found or found["kernel"].ndim != 4:
                raise ReadError(f"{file.where}: layer {name} has no kernel of four dimensions.")
            kernel = torch.from_numpy(np.ascontiguousarray(found["kernel"].transpose(3, 2, 0, 1)))
            bias = torch.from_numpy(found["bias"]) if "bias" in found else None
            result[name] = [kernel, bias]
        elif kind == "BatchNormalization":
            size = len(found.get("moving_mean", ()))
            if size == 0 or "moving_variance" not in found:
                raise ReadError(f"{file.where}: layer {name} has no mean and variance.")
            spread = np.sqrt(found["moving_variance"] + float(config.get("epsilon", 1e-3)))
            scale = found.get("gamma", np.ones(size, np.float32)) / spread
            shift = found.get("beta", np.zeros(size, np.float32)) - found["moving_mean"] * scale
            result[name] = [
                torch.from_numpy(np.asarray(value, np.float32)[:, None, None])
                for value in (scale, shift)
            ]
    return result


def _activated(torch: Any, value: Any, name: Any) -> Any:
    if isinstance(name, dict):
        name = name.get("config", name.get("class_name"))
    known: dict[str, Callable[[Any], Any]] = {
        "linear": lambda x: x,
        "relu": torch.relu,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
        "swish": torch.nn.functional.silu,
        "silu": torch.nn.functional.silu,
        "elu": torch.nn.functional.elu,
        "softmax": lambda x: torch.softmax(x, dim=1),
    }
    if name not in known:
        raise ReadError(
            f"DeepD3Model: activations {', '.join(known)} are known, found {str(name)[:60]!r}."
        )
    return known[name](value)


def _conv(torch: Any, value: Any, config: dict[str, Any], weights: list[Any]) -> Any:
    kernel, bias = weights
    stride = [int(s) for s in config.get("strides", (1, 1))]
    spread = [int(s) for s in config.get("dilation_rate", (1, 1))]
    if config.get("padding") == "same":
        window = [d * (k - 1) + 1 for k, d in zip(kernel.shape[2:], spread, strict=True)]
        value = _same(torch, value, window, stride, 0.0)
    value = torch.nn.functional.conv2d(value, kernel, bias, stride=stride, dilation=spread)
    return _activated(torch, value, config.get("activation", "linear"))


def _same(torch: Any, value: Any, window: list[int], stride: list[int], fill: float) -> Any:
    """Pad as TensorFlow's `same`: the odd voxel goes to the far side."""
    pad: list[int] = []
    for size, w, s in zip(value.shape[2:], window, stride, strict=True):
        total = max((-(-size // s) - 1) * s + w - size, 0)
        pad = [total // 2, total - total // 2, *pad]
    return torch.nn.functional.pad(value, pad, value=fill)


def _pool(torch: Any, value: Any, config: dict[str, Any]) -> Any:
    size = [int(s) for s in config.get("pool_size", (2, 2))]
    stride = [int(s) for s in (config.get("strides") or size)]
    if config.get("padding") == "same":
        value = _same(torch, value, size, stride, -np.inf)
    return torch.nn.functional.max_pool2d(value, size, stride)


def _grow(torch: Any, value: Any, config: dict[str, Any]) -> Any:
    scale = tuple(float(s) for s in config.get("size", (2, 2)))
    how = str(config.get("interpolation", "nearest"))
    options = {} if how == "nearest" else {"align_corners": False}
    return torch.nn.functional.interpolate(value, scale_factor=scale, mode=how, **options)


_KINDS = (
    "Activation", "Add", "BatchNormalization", "Concatenate", "Conv2D", "Dropout", "InputLayer",
    "MaxPooling2D", "ReLU", "SpatialDropout2D", "UpSampling2D",
)  # fmt: skip


def _run(torch: Any, kind: str, given: list[Any], config: dict[str, Any], w: list[Any]) -> Any:
    """Compute one layer."""
    first = given[0]
    match kind:
        case "Conv2D":
            return _conv(torch, first, config, w)
        case "BatchNormalization":
            return first * w[0] + w[1]
        case "Activation":
            return _activated(torch, first, config["activation"])
        case "ReLU":
            return torch.relu(first)
        case "Add":
            return sum(given[1:], start=first)
        case "Concatenate":
            return torch.cat(given, dim=1)
        case "MaxPooling2D":
            return _pool(torch, first, config)
        case "UpSampling2D":
            return _grow(torch, first, config)
    return first  # dropout does nothing at inference
