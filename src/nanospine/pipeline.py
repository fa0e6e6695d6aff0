"""One configuration, one run: a file goes in, a folder with measured and typed spines comes out."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.config import RunConfig
from nanospine.core.errors import GeometryError, TooFewPointsError, WriteError
from nanospine.core.files import input_sha256_of
from nanospine.core.folders import atomic_folder, check_target
from nanospine.core.history import HistoryEntry, plain
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.points.filtering import keep_range
from nanospine.points.steps import apply_steps
from nanospine.version import __version__

if TYPE_CHECKING:
    from nanospine.spines.model import Spines
    from nanospine.surface.enveloped import Envelope

__all__ = ["Analysis", "RunResult", "analyse", "require_points", "run"]

_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "trimesh", "scikit-image", "numba", "shapely")


@dataclass(frozen=True, eq=False)
class Analysis:
    """What was found in localizations.

    Attributes
    ----------
    localizations : Localizations
        After the filters, with the column `spine`: its number, -1 on the shaft, -2 elsewhere.
    envelope : Envelope
        The surface around them (around one channel, when the configuration names one).
    spines : Spines
        With an empty table and a note that says why, when there is none.
    notes : tuple of str
        What a reader of the results must know, of every step.
    timings_s : dict
        Seconds of wall time per step.
    """

    localizations: Localizations
    envelope: Envelope
    spines: Spines
    notes: tuple[str, ...]
    timings_s: dict[str, float] = field(repr=False)

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Every operation, oldest first."""
        return self.spines.history


@dataclass(frozen=True, eq=False)
class RunResult:
    """An analysis, what it was made from, and where it was written.

    Attributes
    ----------
    folder : Path
        The results.
    config : RunConfig
        What was asked.
    input_sha256 : str
        Of the input file (of a folder: of the names and sums of its files).
    localizations, envelope, spines, notes, timings_s
        As in :class:`Analysis`; the timings include reading and writing.
    versions : dict
        Of nanospine, Python and the libraries that compute.
    """

    folder: Path
    config: RunConfig
    input_sha256: str
    localizations: Localizations
    envelope: Envelope
    spines: Spines
    notes: tuple[str, ...]
    timings_s: dict[str, float] = field(repr=False)
    versions: dict[str, str] = field(repr=False)

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """Every operation, oldest first."""
        return self.spines.history

    @property
    def timings(self) -> dict[str, float]:
        """Seconds of wall time per step."""
        return self.timings_s

    def to_dict(self) -> dict[str, Any]:
        """Give what `run.json` holds."""
        counts = self.spines.table["type"].value_counts()
        shaft = self.spines.shaft
        return {
            "nanospine": __version__,
            "config": self.config.model_dump(mode="json"),
            "input": {"name": self.config.input_path.name, "sha256": self.input_sha256},
            "n_localizations": len(self.localizations),
            "envelope": plain(self.envelope.to_frame().iloc[0].to_dict()),
            "shaft_length_nm": plain(None if shaft is None else shaft.length_nm),
            "n_spines": len(self.spines),
            "types": {str(name): int(number) for name, number in counts.items()},
            "notes": list(self.notes),
            "seeds": {"spines": self.config.spines.seed},
            "timings_s": {name: round(value, 3) for name, value in self.timings_s.items()},
            "versions": self.versions,
            "history": [plain(item) for item in self.history],
        }


def run(
    config: RunConfig,
    *,
    progress: Progress | None = None,
    also_write: Callable[[Path], None] | None = None,
) -> RunResult:
    """Read a file, filter, wrap, find and measure spines, write everything into one folder.

    The folder appears whole or not at all. That no spine is found is a result like any other:
    the envelope and the pictures are written, and the notes say why.

    Parameters
    ----------
    config : RunConfig
        What to do.
    progress : callable, optional
        Called with a stage and the fraction done.
    also_write : callable, optional
        Called with the folder before it gets its name, to add files to it.

    Raises
    ------
    NanospineError
        `ReadError`, `UnitsError` when the input cannot be read; `GeometryError` when no surface
        goes around it; `SchemaError` for a filter on a column that is not there; `WriteError`
        for the folder.
    """
    from nanospine.output.exports import check_formats

    check_target(config.output_folder, overwrite=config.output.overwrite)
    check_formats(config.output.formats)
    if config.corrections_path is not None:
        from nanospine.output.corrections import read_corrections

        read_corrections(config.corrections_path)  # what is wrong with it is said before the work
    timings: dict[str, float] = {}
    with _timed(timings, "read"):
        report(progress, "reading", 0.0)
        localizations = _read(config)
        input_sha256 = input_sha256_of(config.input_path)
        report(progress, "reading", 1.0)
    found = analyse(localizations, config, progress=progress)
    timings.update(found.timings_s)
    result = RunResult(
        folder=config.output_folder,
        config=config,
        input_sha256=input_sha256,
        localizations=found.localizations,
        envelope=found.envelope,
        spines=found.spines,
        notes=found.notes,
        timings_s=timings,
        versions=_versions(),
    )
    target = config.output_folder
    with atomic_folder(target, overwrite=config.output.overwrite) as folder:
        try:
            _write(result, folder, progress)
            if also_write is not None:
                also_write(folder)
        except OSError as error:  # a full disk, above all
            raise WriteError(f"{target}: cannot be written: {error.strerror or error}.") from error
    return result


def analyse(
    localizations: Localizations, config: RunConfig, *, progress: Progress | None = None
) -> Analysis:
    """Filter localizations, wrap them, find and measure their spines; nothing is written.

    Parameters
    ----------
    localizations : Localizations
        3-D.
    config : RunConfig
        Its filters and its options of envelope and spines are used.
    progress : callable, optional
        Called with a stage and the fraction done.
    """
    # Late: these load the geometry libraries, which `import nanospine` must not.
    from nanospine.surface.envelope import envelope

    timings: dict[str, float] = {}
    with _timed(timings, "filter"):
        kept = localizations
        for item in config.filter:
            kept = keep_range(kept, item.column, low=item.min, high=item.max)
        kept = apply_steps(kept, tuple(item.step for item in config.step), progress=progress)
    notes = [note for step in kept.history for note in step.get("notes", ())]
    wrapped_locs, rows = _structure(kept, config.envelope.channel, notes)
    require_points(wrapped_locs)
    if wrapped_locs.dimension == 2:
        raise GeometryError(
            f"spines: the {len(wrapped_locs)} localizations are 2-D; spines and their necks need "
            "3-D positions. Give the z column (or data of a 3-D method); `nanospine envelope` "
            "draws the outline of 2-D data."
        )
    options = config.envelope
    with _timed(timings, "envelope"):
        wrapped = envelope(
            wrapped_locs,
            alpha_nm=options.alpha_nm,
            label=options.label,
            method=options.method,
            min_component_fraction=options.min_component_fraction,
            progress=progress,
        )
    notes += wrapped.notes
    asked = config.spines
    precision = asked.precision_nm
    with _timed(timings, "spines"):
        from nanospine.spines.find import find_spines

        spines = find_spines(
            wrapped,
            wrapped_locs,
            label=options.label,
            precision_nm=None if precision is None else _one_or_three(precision),
            preset=asked.preset,
            min_length_nm=asked.min_length_nm,
            base_nm=asked.base_nm,
            join_nm=asked.join_nm,
            seed=asked.seed,
            progress=progress,
        )
        spines = _corrected(spines, wrapped_locs, config)
    notes += spines.notes
    known = wrapped_locs.precision_nm
    if (
        len(spines)
        and precision is None
        and (known is None or not np.isfinite(known).any(axis=0).all())
    ):
        notes.append(
            "The table has no localization precision on every axis, so no neck diameter could be "
            "measured. Give [spines] precision_nm (command line: --precision-nm 10,10,20)."
        )
    labelled = _with_spine_column(kept, rows, spines, wrapped)
    return Analysis(labelled, wrapped, spines, tuple(dict.fromkeys(notes)), timings)


def require_points(localizations: Localizations) -> None:
    """Refuse localizations around which no surface can go because of what they are, not how many.

    Raises
    ------
    TooFewPointsError
        When there are none (saying what was dropped), or all lie at one point.

    Examples
    --------
    >>> import nanospine as ns
    >>> require_points(ns.from_arrays([[5, 5, 5]] * 100))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    nanospine.core.errors.TooFewPointsError: all 100 localizations lie at one point (5, 5, 5)...
    """
    xyz = localizations.xyz_nm
    if len(xyz) == 0:
        dropped = [note for step in localizations.history for note in step.get("notes", ())]
        reason = f" ({'; '.join(dropped)})" if dropped else ""
        raise TooFewPointsError(f"the table holds no localizations{reason}.")
    if len(xyz) > 1 and not np.ptp(xyz, axis=0).any():
        place = ", ".join(f"{item:g}" for item in xyz[0])
        raise TooFewPointsError(
            f"all {len(xyz)} localizations lie at one point ({place}) nm; an envelope needs at "
            "least 4 that do not lie in one plane."
        )


def _read(config: RunConfig) -> Localizations:
    from nanospine.io.registry import read

    asked = config.input
    return read(
        config.input_path,
        format=asked.format,
        pixel_size_nm=asked.pixel_size_nm,
        z_scale=asked.z_scale,
        units=asked.units,
    )


def _structure(
    localizations: Localizations, channel: str | None, notes: list[str]
) -> tuple[Localizations, npt.NDArray[np.int64]]:
    """Give the localizations that the envelope goes around, and their rows."""
    if channel is None:
        if len(localizations.channels) > 1:
            shown = ", ".join(repr(name) for name in localizations.channels)
            notes.append(
                f"The channels {shown} were taken together; name the one that shows the dendrite "
                "with [envelope] channel (command line: --channel)."
            )
        return localizations, np.arange(len(localizations))
    chosen = localizations.channel(channel)
    return chosen, np.flatnonzero((localizations.table["channel"] == channel).to_numpy())


def _corrected(spines: Spines, localizations: Localizations, config: RunConfig) -> Spines:
    """Apply the changes made by hand that the configuration names."""
    if config.corrections_path is None:
        return spines
    from nanospine.output.corrected import corrected_spines
    from nanospine.output.corrections import read_corrections

    precision = config.spines.precision_nm
    return corrected_spines(
        spines,
        read_corrections(config.corrections_path),
        localizations,
        precision_nm=None if precision is None else _one_or_three(precision),
    )


def _one_or_three(values: tuple[float, ...]) -> float | tuple[float, ...]:
    return values[0] if len(values) == 1 else values


def _with_spine_column(
    kept: Localizations, rows: npt.NDArray[np.int64], spines: Spines, wrapped: Envelope
) -> Localizations:
    """Add the spine of every localization; those of other channels go to the nearest surface."""
    from nanospine.spines.assign import assign_localizations
    from nanospine.spines.model import BACKGROUND

    number = np.full(len(kept), BACKGROUND, dtype=np.int64)
    if spines.localization_spine is not None:
        number[rows] = spines.localization_spine
    others = np.setdiff1d(np.arange(len(kept)), rows)
    if len(others):
        precision = kept.precision_nm
        number[others] = assign_localizations(
            kept.xyz_nm[others],
            wrapped.mesh,
            spines.vertex_spine,
            None if precision is None else precision[others],
        )
    table = kept.table.assign(spine=number)
    return kept.replace(table=table, operation="find_spines", arguments={"n_spines": len(spines)})


def _write(result: RunResult, folder: Path, progress: Progress | None) -> None:
    """Write every output of a run into a folder."""
    from nanospine.io.registry import write
    from nanospine.output.export import write_mesh
    from nanospine.output.export_tables import profile_table
    from nanospine.output.exports import write_exports

    spines, localizations = result.spines, result.localizations
    with _timed(result.timings_s, "write"):
        report(progress, "writing", 0.0)
        spines.table.to_parquet(folder / "spines.parquet")
        spines.table.to_csv(folder / "spines.csv", index=False, lineterminator="\n")
        profile_table(spines).to_parquet(folder / "profiles.parquet")
        write(localizations, folder / "localizations.parquet")
        for suffix in (".glb", ".ply"):
            write_mesh(result.envelope, folder / f"envelope{suffix}")
            write_mesh(spines, folder / f"spines{suffix}")
        write_exports(spines, folder, result.config.output.formats)
        if result.config.corrections_path is not None:
            shutil.copyfile(result.config.corrections_path, folder / "corrections-applied.json")
        if result.config.output.pictures:
            _draw(result, folder, progress)
    text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False)
    (folder / "run.json").write_text(text + "\n", encoding="utf-8")
    report(progress, "writing the report", 1.0)


def _draw(result: RunResult, folder: Path, progress: Progress | None) -> None:
    """Draw the pictures and write the report."""
    from nanospine.output.render import neck_profile_figure, overview
    from nanospine.output.report import write_report

    spines = result.spines
    report(progress, "writing", 0.2)
    overview(spines, result.localizations, folder / "overview.png")
    if len(spines):
        (folder / "necks").mkdir()
    for spine in spines.spines:
        report(progress, "drawing necks", spine.id / len(spines))
        neck_profile_figure(spine, folder / "necks" / f"spine_{spine.id:03d}.png")
    report(progress, "writing the report", 0.0)
    write_report(result, folder / "report.html")


@contextmanager
def _timed(timings: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    timings[name] = time.perf_counter() - start


def _versions() -> dict[str, str]:
    versions = {"nanospine": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        versions[name] = importlib.metadata.version(name)
    return versions
