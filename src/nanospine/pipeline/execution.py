"""A run from a file to a folder of results, which appears whole or not at all."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nanospine.config import RunConfig
from nanospine.core.errors import WriteError
from nanospine.core.files import input_sha256_of
from nanospine.core.folders import atomic_folder, check_target
from nanospine.core.history import HistoryEntry, plain
from nanospine.core.localizations import Localizations
from nanospine.core.progress import Progress, report
from nanospine.pipeline.analysis import analyse, timed
from nanospine.version import __version__

if TYPE_CHECKING:
    from nanospine.spines.model import Spines
    from nanospine.surface.enveloped import Envelope

__all__ = ["RunResult", "run"]

_LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "trimesh", "scikit-image", "numba", "shapely")


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
    with timed(timings, "read"):
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


def _write(result: RunResult, folder: Path, progress: Progress | None) -> None:
    """Write every output of a run into a folder."""
    from nanospine.io.registry import write
    from nanospine.output.export import write_mesh
    from nanospine.output.export_tables import profile_table
    from nanospine.output.exports import write_exports

    spines, localizations = result.spines, result.localizations
    with timed(result.timings_s, "write"):
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


def _versions() -> dict[str, str]:
    versions = {"nanospine": __version__, "python": platform.python_version()}
    for name in _LIBRARIES:
        versions[name] = importlib.metadata.version(name)
    return versions
