"""What one run does, as a TOML file says it: input, filters, envelope, spines, output.

Every key has a default but the input file and the output folder. A key that is not known is an
error that names the ones that are: a misspelt option must never be an option silently not used.
"""

from __future__ import annotations

import difflib
import math
import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from nanospine.core.errors import ConfigError
from nanospine.points.steps import Step

__all__ = [
    "EXAMPLE",
    "EnvelopeOptions",
    "ExportFormat",
    "FilterOptions",
    "InputOptions",
    "OutputOptions",
    "RunConfig",
    "SpineOptions",
    "StepOptions",
    "read_toml",
]

EXAMPLE = """\
# A nanospine run. Paths are relative to this file. Run it: nanospine run CONFIG.toml

[input]
path = "cell1.csv"          # any format that `nanospine inspect` recognises
# format = "thunderstorm"   # only where the content does not tell
# units = "nm"              # nm, um, m or px, for columns whose names have no unit
# pixel_size_nm = 100.0     # for positions in camera pixels
# z_scale = 0.7             # factor on z, for the mismatch of refractive indices

# [[filter]]                # keep rows with min <= column <= max; as many as you like
# column = "photons"
# min = 500

# [[step]]                  # then these, in this order; `nanospine filter --steps` lists them
# do = "drop_sparse"
# radius_nm = 50.0
# min_neighbours = 5

[envelope]
label = "membrane"          # "membrane": the label is on the membrane; "filled": in the volume
alpha_nm = "auto"           # radius of the probe sphere, nm: gaps smaller than it stay closed
# channel = "membrane"      # the channel that shows the dendrite, in data with several

[spines]
# precision_nm = [10, 10, 20]   # localization precision x, y, z, where the table has none
# min_length_nm = 300.0         # what stands out less is roughness of the shaft
# seed = 0
# corrections = "corrections.json"   # changes made by hand in napari: merged, split, rejected ...

[output]
folder = "results"          # made anew, whole or not at all
# overwrite = false         # true: replace an earlier result there
# pictures = true           # false: tables and meshes only, in a fraction of the time
# formats = ["swc", "xlsx"]   # also write these, of swc, h5, xlsx, obj, stl, off, vtp
"""


def _a_path(value: str) -> str:
    """Check what no file system takes, where the key can still be named."""
    if "\0" in value:
        raise ValueError("a path was expected, found one with a NUL character")
    try:
        Path(value).expanduser()
    except RuntimeError as error:  # "~somebody" who is not here
        raise ValueError(f"{value!r}: {error}") from None
    return value


#: A path as configurations have it.
PathText = Annotated[str, AfterValidator(_a_path)]


def _is_finite(value: Any) -> bool:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number of some hundred digits
        return False


def _auto_or_positive(value: Any) -> Any:
    if value == "auto" or (_is_finite(value) and value > 0):
        return value if value == "auto" else float(value)
    raise ValueError(f'"auto" or a positive number of nanometres was expected, found {value!r}')


def _precision(value: Any) -> Any:
    numbers = value if isinstance(value, list | tuple) else [value]
    good = all(_is_finite(item) and item >= 0 for item in numbers)
    if value is None or (good and len(numbers) in (1, 3)):
        return value if value is None else tuple(float(item) for item in numbers)
    raise ValueError(f"one number of nanometres, or three for x, y, z, expected, found {value!r}")


def _a_number(value: float) -> float:
    if math.isnan(value):
        raise ValueError("a number was expected, found nan")
    return value


#: Files that a run writes when asked, besides those that it always writes.
ExportFormat = Literal["swc", "h5", "xlsx", "obj", "stl", "off", "vtp"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class InputOptions(_Section):
    """`[input]`: the file and what it does not say of itself."""

    path: PathText
    format: str | None = None
    units: Literal["nm", "um", "m", "px"] | None = None
    pixel_size_nm: Annotated[float, Field(gt=0)] | None = None
    z_scale: Annotated[float, Field(gt=0)] | None = None


class FilterOptions(_Section):
    """`[[filter]]`: keep the rows with `min <= column <= max`."""

    column: str
    # "min = -inf" says that there is no lower bound; nan would keep nothing and say nothing.
    min: Annotated[float, Field(allow_inf_nan=True), AfterValidator(_a_number)] | None = None
    max: Annotated[float, Field(allow_inf_nan=True), AfterValidator(_a_number)] | None = None


class StepOptions(BaseModel):
    """`[[step]]`: a function of `nanospine.points.steps` by name, with its arguments."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    do: str

    @model_validator(mode="after")
    def _known(self) -> Self:
        try:
            self.step  # noqa: B018 - made for its checks
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    @property
    def step(self) -> Step:
        """What is to be done."""
        return Step(self.do, self.model_extra or {})


class EnvelopeOptions(_Section):
    """`[envelope]`: see :func:`nanospine.envelope`; `channel` is the one that it wraps."""

    alpha_nm: Annotated[float | Literal["auto"], BeforeValidator(_auto_or_positive)] = "auto"
    label: Literal["membrane", "filled"] = "membrane"
    method: Literal["carve", "convex-hull", "density", "poisson", "ball-pivoting"] = "carve"
    min_component_fraction: Annotated[float, Field(ge=0, le=1)] = 0.01
    adapt: bool = True
    channel: str | None = None


class SpineOptions(_Section):
    """`[spines]`: see :func:`nanospine.find_spines`; `corrections` is a file of changes by hand."""

    precision_nm: Annotated[tuple[float, ...] | None, BeforeValidator(_precision)] = None
    preset: str = "nanospine"
    min_length_nm: Annotated[float, Field(gt=0)] = 300.0
    base_nm: Annotated[float, Field(gt=0)] = 80.0
    join_nm: Annotated[float, Field(gt=0)] = 150.0
    linker_nm: Annotated[float, Field(ge=0)] = 0.0
    seed: Annotated[int, Field(ge=0)] = 0
    corrections: PathText | None = None


class OutputOptions(_Section):
    """`[output]`: the folder, whether a result in it may be replaced, whether to draw."""

    folder: PathText
    overwrite: bool = False
    pictures: bool = True
    formats: tuple[ExportFormat, ...] = Field(default=(), strict=False)


class RunConfig(_Section):
    """One run, from the file to the results.

    Relative paths count from `base_folder`: the folder of the TOML file, or else where the
    program was called.

    Examples
    --------
    >>> config = RunConfig.from_dict({
    ...     "input": {"path": "cell1.csv", "units": "nm"},
    ...     "filter": [{"column": "photons", "min": 500}],
    ...     "output": {"folder": "results"},
    ... })
    >>> config.envelope.alpha_nm, config.filter[0].min
    ('auto', 500.0)
    >>> wrong = {"input": {"path": "a.csv"}, "output": {"foldr": "b"}}
    >>> RunConfig.from_dict(wrong)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    nanospine.core.errors.ConfigError: config: 2 faults:
      - [output] folder: missing
      - [output] foldr: not a key here; did you mean 'folder'? Keys of [output]: ...
    """

    input: InputOptions
    filter: tuple[FilterOptions, ...] = Field(default=(), strict=False)
    step: tuple[StepOptions, ...] = Field(default=(), strict=False)
    envelope: EnvelopeOptions = EnvelopeOptions()
    spines: SpineOptions = SpineOptions()
    output: OutputOptions
    base_folder: Path = Field(default=Path(), exclude=True, repr=False)

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, where: str = "config", base_folder: Path | None = None
    ) -> RunConfig:
        """Check nested dictionaries as a TOML file gives them.

        Raises
        ------
        ConfigError
            With all faults at once.
        """
        if "base_folder" in values:
            raise ConfigError(f"{where}: base_folder is not a key of the file.")
        try:
            return cls.model_validate({**values, "base_folder": base_folder or Path()})
        except ValidationError as error:
            faults = [_fault(item) for item in error.errors()]
        if len(faults) == 1:
            raise ConfigError(f"{where}: {faults[0]}")
        lines = "".join(f"\n  - {fault}" for fault in faults)
        raise ConfigError(f"{where}: {len(faults)} faults:{lines}")

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> RunConfig:
        """Read a configuration from a TOML file.

        Raises
        ------
        ConfigError
            When the file cannot be read, is not TOML, or holds an unknown key or a wrong value.
        """
        source = Path(path)
        values = read_toml(source)
        return cls.from_dict(values, where=source.name, base_folder=source.parent)

    @property
    def input_path(self) -> Path:
        """Where the input is."""
        return self.base_folder / Path(self.input.path).expanduser()

    @property
    def corrections_path(self) -> Path | None:
        """Where the changes made by hand are, if there are any."""
        name = self.spines.corrections
        return None if name is None else self.base_folder / Path(name).expanduser()

    @property
    def output_folder(self) -> Path:
        """Where the results go."""
        return self.base_folder / Path(self.output.folder).expanduser()


def read_toml(source: Path) -> dict[str, Any]:
    """Read a TOML file; whatever is wrong with it is a :class:`ConfigError` that says so.

    Raises
    ------
    ConfigError
        When the file cannot be read, is not UTF-8, or is not TOML.
    """
    try:
        return tomllib.loads(source.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{source}: cannot be read: {error.strerror or error}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{source}: is not a text file in UTF-8; expected TOML.") from error
    except (ValueError, RecursionError) as error:  # also numbers and nests without end
        raise ConfigError(
            f"{source}: is not valid TOML: {error}. `nanospine run --example` prints a "
            "configuration to start from."
        ) from error


_SECTIONS: dict[str, type[BaseModel]] = {
    "input": InputOptions,
    "filter": FilterOptions,
    "step": StepOptions,
    "envelope": EnvelopeOptions,
    "spines": SpineOptions,
    "output": OutputOptions,
}


def _fault(item: Mapping[str, Any]) -> str:
    """Say in one sentence what pydantic found: where, what, and what is allowed there."""
    path = item["loc"]
    section = str(path[0])
    if len(path) == 1:
        place, known = section, [*_SECTIONS]
        inside = "the file"
    else:
        name = f"[[{section}]]" if section in ("filter", "step") else f"[{section}]"
        number = f" number {path[1] + 1}" if isinstance(path[1], int) else ""
        keys = [str(part) for part in path[1:] if not isinstance(part, int)]
        place = f"{name}{number} {keys[0] if keys else ''}".rstrip()
        known = list(_SECTIONS[section].model_fields)
        inside = name
    kind, last = item["type"], str(path[-1])
    if kind == "extra_forbidden":
        return f"{place}: not a key here{_closest(last, known)} Keys of {inside}: " + ", ".join(
            known
        )
    if kind == "missing":
        return f"{place}: missing"
    if kind == "value_error":
        return f"{place}: {item['ctx']['error']}"
    return f"{place}: {item['msg'][0].lower()}{item['msg'][1:]}, found {item['input']!r}"


def _closest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else "."
