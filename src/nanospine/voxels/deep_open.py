"""A trained model by its path: whatever kind of file or folder it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from nanospine.core.errors import ConfigError, ReadError
from nanospine.core.files import read_json
from nanospine.voxels.deep_spec import DeepModel, ModelSpec
from nanospine.voxels.grid import LabelGrid, VoxelGrid

__all__ = ["open_model", "read_spec"]

_DESCRIPTIONS = ("rdf.yaml", "bioimageio.yaml", "model.yaml")
# What labs call these classes in the dataset.json of nnU-Net
_ROLES = {
    "background": "background", "shaft": "shaft", "dendrite": "shaft", "dendrites": "shaft",
    "soma": "shaft", "cell body": "shaft", "spine": "spine", "spines": "spine", "neck": "spine",
    "necks": "spine", "head": "spine",
}  # fmt: skip


def open_model(
    path: str | Path,
    *,
    spec: ModelSpec | str | Path | None = None,
    classes: dict[int, str] | None = None,
    trusted: bool = False,
) -> DeepModel | Callable[..., LabelGrid]:
    """Open a trained model for :func:`nanospine.segment`.

    Parameters
    ----------
    path : path-like
        ``.onnx`` (ONNX Runtime), ``.pt2`` (torch.export), ``.h5`` (DeepD3), a package of
        bioimage.io (folder, zip or rdf.yaml), or a folder of nnU-Net v2 with plans.json. A .pt2
        and the checkpoints of nnU-Net can run code when they are opened.
    spec : ModelSpec or path-like, optional
        What the model expects, or a JSON file of it (:func:`read_spec`). Needed for .onnx and .pt2,
        which do not say it themselves: by default ``NAME.json`` beside them. DeepD3 models have
        their own; packages and nnU-Net describe themselves and take none.
    classes : dict, optional
        For nnU-Net: from number to role. By default from the names in its dataset.json.
    trusted : bool
        Say that a .pt2 or a folder of nnU-Net may run code; else they are refused.

    Returns
    -------
    DeepModel or callable
        Either is a method for :func:`nanospine.segment`.

    Raises
    ------
    ReadError
        When there is no such file, or it is of none of these kinds.
    ConfigError
        When the spec or the classes are missing, or not needed.

    Examples
    --------
    >>> from importlib import resources
    >>> place = resources.files("nanospine.voxels") / "models" / "dual_unet.h6"
    >>> open_model(place)
    Traceback (most recent call last):
    nanospine.core.errors.ReadError: ...: there is no such file.
    """
    place = Path(path)
    if not place.exists():
        raise ReadError(f"{place}: there is no such file.")
    kind = _kind(place)
    if kind not in ("onnx", "pt2", "h5") and spec is not None:
        raise ConfigError(f"{place.name}: a model of {kind} describes itself and takes no spec.")
    if kind == "nnU-Net":
        return _nnunet(place, classes, trusted)
    if classes is not None:
        raise ConfigError(f"{place.name}: classes are for nnU-Net; a spec holds those of others.")
    if kind == "bioimage.io":
        from nanospine.voxels.deep_bioimageio import BioimageIOModel

        return BioimageIOModel(place)
    if kind == "h5":
        from nanospine.voxels.deep_keras import DeepD3Model

        return DeepD3Model(place, None if spec is None else _spec(spec, place))
    from nanospine.voxels.deep_adapters import OnnxModel, TorchModel

    found = _spec(spec, place)
    if kind == "onnx":
        return OnnxModel(place, found)
    return TorchModel(place, found, trusted=trusted)


def read_spec(path: str | Path) -> ModelSpec:
    """Read what a model expects from a JSON file; keys are the parameters of `ModelSpec`.

    ``{"outputs": ["dendrite", "spine"], "dims": 2, "voxel_nm": [500, 94, 94], "normalisation":
    "minmax_signed", "per_plane": true, "tile": [512, 512], "halo": 64, "divisor": 32}``; what is
    left out has its default.

    Raises
    ------
    ReadError
        When the file is missing or no JSON object.
    ConfigError
        When a key is unknown or a value cannot be.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(f"{folder}/a.json").write_text('{"dims": 2, "voxel_nm": [null, 94, 94]}')
    ...     read_spec(f"{folder}/a.json").voxel_nm
    (None, 94, 94)
    """
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ReadError(f"{path}: a JSON file of a model's spec was expected ({error}).") from error
    known = [item.name for item in fields(ModelSpec)]
    unknown = [str(key) for key in content if key not in known] if isinstance(content, dict) else []
    if not isinstance(content, dict) or unknown:
        found = ", ".join(unknown) or type(content).__name__
        raise ConfigError(f"{path}: keys of {', '.join(known)} were expected, found {found}.")
    values: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in content.items()
    }
    try:
        if isinstance(values.get("classes"), dict):
            values["classes"] = {int(key): str(v) for key, v in values["classes"].items()}
        return ModelSpec(**values)
    except (TypeError, ValueError, OverflowError) as error:
        raise ConfigError(f"{path}: {error}") from error


def _kind(place: Path) -> str:
    suffix = place.suffix.lower()
    if place.is_dir():
        if (place / "plans.json").is_file():
            return "nnU-Net"
        if any((place / name).is_file() for name in _DESCRIPTIONS):
            return "bioimage.io"
    elif suffix in (".zip", ".yaml", ".yml"):
        return "bioimage.io"
    elif suffix in (".h5", ".hdf5"):
        return "h5"
    elif suffix in (".onnx", ".pt2"):
        return suffix[1:]
    raise ReadError(
        f"{place}: a model was expected: .onnx, .pt2, .h5 of DeepD3, a package of bioimage.io "
        "(.zip or a folder with rdf.yaml), or a folder of nnU-Net v2 with plans.json. Files of "
        "other kinds (.pt, .pth, .keras) can run code when they are opened."
    )


def _spec(spec: ModelSpec | str | Path | None, place: Path) -> ModelSpec:
    if isinstance(spec, ModelSpec):
        return spec
    if spec is not None:
        return read_spec(spec)
    beside = place.with_suffix(".json")
    if not beside.is_file():
        raise ConfigError(
            f"{place.name}: what the model expects is not in it; give a spec, or write it to "
            f"{beside.name} beside it, such as "
            '{"dims": 2, "voxel_nm": [500, 94, 94], "normalisation": "minmax"}.'
        )
    return read_spec(beside)


def _nnunet(place: Path, classes: dict[int, str] | None, trusted: bool) -> Callable[..., LabelGrid]:
    from nanospine.voxels.deep_adapters import need_trust

    need_trust(place, trusted, "its checkpoints are pickles")
    roles = _classes(place) if classes is None else classes

    def run(grid: VoxelGrid, **options: Any) -> LabelGrid:
        from nanospine.voxels.deep_folders import nnunet_segment

        return nnunet_segment(grid, place, roles, trusted=True, **options)

    return run


def _classes(place: Path) -> dict[int, str]:
    """Roles by the names that a dataset.json gives its labels."""
    try:
        labels = read_json(place / "dataset.json")["labels"]
        roles = {int(number): _ROLES[str(name).lower()] for name, number in labels.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{place.name}: which class is shaft and which is spine is not clear from its "
            f"dataset.json ({error}); give classes, such as {{1: 'shaft', 2: 'spine'}}."
        ) from error
    return roles
