"""`nanospine export RUN_FOLDER|FILE --to FORMAT`: what was found, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nanospine.cli.console import emit_json, progress_bar, say
from nanospine.cli.options import (
    AlphaOption,
    ChannelOption,
    FormatOption,
    JsonOption,
    Label,
    LabelOption,
    PixelSizeOption,
    PrecisionOption,
    UnitsOption,
    ZScaleOption,
    alpha_or_auto,
    given,
    one_or_three,
)
from nanospine.core.errors import WriteError

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.pipeline import Analysis

__all__ = ["FORMATS", "export"]

#: Name of a format -> file that it makes, and what is in it.
FORMATS: dict[str, tuple[str, str]] = {
    "glb": ("spines.glb", "surface by spine type, micrometres: Blender, PowerPoint, browsers"),
    "ply": ("spines.ply", "surface by spine type, nm: MeshLab, CloudCompare, Fiji"),
    "obj": ("spines.obj", "surface by spine type, nm"),
    "vtp": ("spines.vtp", "surface with type and spine of each vertex, nm: ParaView"),
    "stl": ("spines.stl", "surface without colours, nm: printing"),
    "off": ("spines.off", "surface without colours, nm"),
    "swc": ("dendrite.swc", "axis of the dendrite and its spines, micrometres: NEURON, neuTube"),
    "h5": ("dendrite.h5", "dendrite with spines in the layout of morph-spines, micrometres"),
    "csv": ("spines.csv", "table of spines"),
    "parquet": ("spines.parquet", "table of spines"),
    "xlsx": ("spines.xlsx", "tables of spines and necks, meaning of the columns"),
    "profiles": ("profiles.csv", "diameter along every spine"),
    "thunderstorm": ("localizations.csv", "localizations with their spine, for ThunderSTORM"),
    "picasso": ("localizations.hdf5", "localizations, for Picasso; the group is the spine"),
    "smlm": ("localizations.smlm", "localizations with their spine, for ShareLoc"),
    "smap-csv": ("localizations.smap.csv", "localizations, for SMAP; the channel is the spine"),
    "pmx-csv": ("localizations.pmx.csv", "localizations with their spine, as of pyMINFLUX"),
    "localizations": ("localizations.parquet", "localizations with spine, region and history"),
    "points-ply": ("localizations.ply", "localizations as points: MeshLab, CloudCompare"),
    "points-vtp": ("localizations.vtp", "localizations as points: ParaView"),
}
# These have no place for a column of one's own: there the spine stands where the channel would
_BY_CHANNEL = ("picasso", "smap-csv")
_MESHES = ("glb", "ply", "obj", "vtp", "stl", "off")


def _known(names: list[str]) -> list[str]:
    for name in names:
        if name.lower().lstrip(".") not in FORMATS:
            raise typer.BadParameter(f"one of {', '.join(FORMATS)} was expected, not {name!r}")
    return [name.lower().lstrip(".") for name in names]


def export(
    source: Annotated[
        Path, typer.Argument(metavar="RUN_FOLDER|FILE", help="Results of a run, or localizations.")
    ],
    to: Annotated[
        list[str],
        typer.Option(
            "--to", "-t", metavar="FORMAT", callback=_known,
            help="As often as you like: " + ", ".join(FORMATS) + ".",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="FOLDER", help="Folder for the files [default: SOURCE-export]."
        ),
    ] = None,
    label: LabelOption = Label.membrane,
    channel: ChannelOption = None,
    alpha_nm: AlphaOption = "auto",
    precision_nm: PrecisionOption = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    json: JsonOption = False,
) -> None:  # fmt: skip
    """Write the surface, the dendrite, tables or localizations in formats of other programs.

    Units and origin stand in every file that can hold words. The results of a run are found again
    with its own settings; a file of localizations is analysed with the options given here.
    """
    from nanospine.cli.report import analysed_again
    from nanospine.config import RunConfig
    from nanospine.output.exports import check_formats
    from nanospine.pipeline import analyse

    check_formats(to)
    if (source / "run.json").is_file():
        found = analysed_again(source)[1]
    else:
        from nanospine.io.registry import read

        precision = None if precision_nm is None else list(one_or_three(precision_nm))
        options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
        config = RunConfig.from_dict(
            {
                "input": given(path=str(source), **options),
                "envelope": given(alpha_nm=alpha_or_auto(alpha_nm), label=label, channel=channel),
                "spines": given(precision_nm=precision),
                "output": {"folder": "unused"},
            }
        )
        with progress_bar() as progress:
            found = analyse(read(source, **options), config, progress=progress)
    folder = out or source.with_name(f"{source.name}-export")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{folder}: is no folder to write to: {error.strerror}.") from error
    written = []
    for name in dict.fromkeys(to):
        path = folder / FORMATS[name][0]
        _write(found, name, path)
        written.append(path)
        say(f"{path}: {FORMATS[name][1]}")
    for note in found.notes:
        say(f"note: {note}")
    if json:
        emit_json({"files": [str(path) for path in written], "n_spines": len(found.spines)})


def _write(found: Analysis, name: str, path: Path) -> None:
    from nanospine.core.files import atomic_path
    from nanospine.io.registry import write
    from nanospine.output.export import write_mesh
    from nanospine.output.export_tables import profile_table, write_spine_table
    from nanospine.output.morph_spines import write_morph_spines
    from nanospine.output.swc import write_swc

    if name in _MESHES:
        write_mesh(found.spines, path)
    elif name == "swc":
        write_swc(found.spines, path)
    elif name == "h5":
        write_morph_spines(found.spines, path)
    elif name == "profiles":
        with atomic_path(path) as temporary:
            profile_table(found.spines).to_csv(temporary, index=False, lineterminator="\n")
    elif name in ("csv", "parquet", "xlsx"):
        write_spine_table(found.spines, path)
    elif name in _BY_CHANNEL:
        write(_by_spine(found.localizations), path)
    else:
        write(found.localizations, path)


def _by_spine(locs: Localizations) -> Localizations:
    """Make the spine the channel, in words: elsewhere, shaft, spine 0, spine 1 ..."""
    import pandas as pd

    number = locs.table["spine"].to_numpy()
    most = int(number.max(initial=-1))
    names = ["elsewhere", "shaft", *(f"spine {item}" for item in range(most + 1))]
    channel = pd.Categorical([names[item + 2] for item in number], categories=names)
    return locs.replace(table=locs.table.assign(channel=channel), operation="spine_as_channel")
