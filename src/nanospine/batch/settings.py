"""What a batch does, as a TOML file says it: the files, how they are worked on, the statistics.

All other sections are those of :class:`nanospine.config.RunConfig` and hold for every file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from nanospine.config import PathText, RunConfig, read_toml
from nanospine.core.errors import ConfigError

__all__ = ["BATCH_EXAMPLE", "BatchConfig", "BatchOptions", "StatisticsOptions"]

BATCH_EXAMPLE = """\
# A nanospine batch. Paths are relative to this file. Run it: nanospine batch CONFIG.toml

[batch]
sheet = "samples.csv"       # a table with the columns file, condition, animal, culture
# files = ["data/*.csv"]    # or patterns; then every file is its own unit of statistics
# jobs = 2                  # files worked on at a time, each in a process of its own
# memory_gb = 4.0           # what one of these processes may take (Linux)
# timeout_min = 60.0        # a file that takes longer is given up and reported

[statistics]
# unit = "animal"           # what counts as one independent observation: animal, culture or file
# paired = false            # true: the same animal in two conditions is one animal

[input]
# units = "nm"              # and so on, as in `nanospine run --example`, for every file

[envelope]
label = "membrane"
alpha_nm = "auto"

[output]
folder = "experiment"       # a second run adds what is missing and does nothing twice
# pictures = true           # false: tables and meshes only, in a fraction of the time
"""

_EVERY_FILE = "(every file)"


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class BatchOptions(_Section):
    """`[batch]`: the files, and how much of the machine they get."""

    files: tuple[PathText, ...] = Field(default=(), strict=False)
    sheet: PathText | None = None
    jobs: Annotated[int, Field(ge=1)] = 1
    memory_gb: Annotated[float, Field(gt=0)] | None = None
    timeout_min: Annotated[float, Field(gt=0)] | None = None


class StatisticsOptions(_Section):
    """`[statistics]`: what one independent observation is."""

    unit: Literal["animal", "culture", "file"] | None = None
    paired: bool = False


_T = TypeVar("_T", bound=_Section)


@dataclass(frozen=True)
class BatchConfig:
    """One batch.

    Attributes
    ----------
    batch : BatchOptions
        Which files, how many at a time.
    statistics : StatisticsOptions
        How they are compared.
    run : RunConfig
        What is done with each file; its input and output are replaced for each.
    folder : Path
        Where everything goes.
    base_folder : Path
        What relative paths count from.

    Examples
    --------
    >>> config = BatchConfig.from_dict(
    ...     {"batch": {"files": ["*.csv"], "jobs": 2}, "output": {"folder": "experiment"}}
    ... )
    >>> config.batch.jobs, config.run.envelope.label
    (2, 'membrane')
    >>> BatchConfig.from_dict({"batch": {}, "output": {"folder": "experiment"}})
    Traceback (most recent call last):
    ...
    nanospine.core.errors.ConfigError: config: [batch] names no files; give files or sheet.
    """

    batch: BatchOptions
    statistics: StatisticsOptions
    run: RunConfig
    folder: Path
    base_folder: Path

    @classmethod
    def from_dict(
        cls, values: Mapping[str, Any], *, where: str = "config", base_folder: Path | None = None
    ) -> BatchConfig:
        """Check nested dictionaries as a TOML file gives them.

        Raises
        ------
        ConfigError
            For an unknown key, a wrong value, or when no files are named.
        """
        rest = {key: value for key, value in values.items() if key not in ("batch", "statistics")}
        source = rest.get("input", {})
        if isinstance(source, Mapping) and "path" in source:
            raise ConfigError(
                f"{where}: [input] path is for a single run; name the files of a batch with "
                "[batch] files or sheet."
            )
        batch = _checked(BatchOptions, values.get("batch", {}), where, "batch")
        statistics = _checked(StatisticsOptions, values.get("statistics", {}), where, "statistics")
        if bool(batch.files) == bool(batch.sheet):
            wrong = "both files and a sheet; give one" if batch.files else "no files; give files or"
            raise ConfigError(f"{where}: [batch] names {wrong}{'' if batch.files else ' sheet'}.")
        if isinstance(source, Mapping):
            rest["input"] = {**source, "path": _EVERY_FILE}
        run = RunConfig.from_dict(rest, where=where, base_folder=base_folder)
        return cls(batch, statistics, run, run.output_folder, base_folder or Path())

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> BatchConfig:
        """Read a configuration from a TOML file.

        Raises
        ------
        ConfigError
            As :meth:`from_dict`, and when the file is not TOML.
        """
        source = Path(path)
        return cls.from_dict(read_toml(source), where=source.name, base_folder=source.parent)


def _checked(kind: type[_T], values: Any, where: str, section: str) -> _T:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        known = ", ".join(kind.model_fields)
        faults = []
        for item in error.errors():
            place = ".".join(str(part) for part in item["loc"])
            if item["type"] == "extra_forbidden":
                faults.append(f"[{section}] {place}: not a key here. Keys: {known}")
            else:
                text = item["msg"][0].lower() + item["msg"][1:]
                faults.append(f"[{section}] {place}: {text}, found {item['input']!r}")
    raise ConfigError(f"{where}: {'; '.join(faults)}")
