"""`nanospine view FILE`: napari where it is installed, else the report in a browser; or a PNG."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nanospine.cli.console import progress_bar, say
from nanospine.cli.guard import EXIT_BUG
from nanospine.cli.options import (
    AlphaOption,
    ChannelOption,
    FormatOption,
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
from nanospine.core.errors import ConfigError

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.output.render_scene import Thing

__all__ = ["view"]


class ColourBy(StrEnum):
    """Colours of localizations."""

    depth = "depth"
    density = "density"
    channel = "channel"
    precision = "precision"
    type = "type"


class Show(StrEnum):
    """What is found before it is shown."""

    points = "points"
    envelope = "envelope"
    spines = "spines"


def view(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE", help="Localizations, or the folder or report.html of a run."
        ),
    ],
    png: Annotated[
        Path | None,
        typer.Option(
            "--png",
            help="Write a picture (.png, .pdf, .svg) or a turning movie (.gif, .webp, .mp4).",
        ),
    ] = None,
    show: Annotated[
        Show, typer.Option("--show", help="For --png: what is found in the localizations first.")
    ] = Show.spines,
    camera: Annotated[
        str,
        typer.Option(
            "--camera",
            help="across, tilted, top, side, end, bottom, or AZIMUTH,ELEVATION (degrees).",
        ),
    ] = "across",
    colour_by: Annotated[
        ColourBy | None,
        typer.Option("--colour-by", "--color-by", help="Draw the localizations, coloured so."),
    ] = None,
    width: Annotated[int, typer.Option("--width", min=16, max=8000, help="Pixels.")] = 1600,
    height: Annotated[
        int | None, typer.Option("--height", min=16, max=8000, help="Pixels.")
    ] = None,
    dark: Annotated[bool, typer.Option("--dark", help="On black.")] = False,
    label: LabelOption = Label.membrane,
    channel: ChannelOption = None,
    alpha_nm: AlphaOption = "auto",
    precision_nm: PrecisionOption = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
) -> None:
    """Show localizations or a run: in napari or a browser, or as a picture with --png."""
    if png is None:
        shown = {
            "label": label, "channel": channel, "alpha_nm": alpha_nm, "precision_nm": precision_nm,
            "format": format, "pixel_size_nm": pixel_size_nm, "units": units, "z_scale": z_scale,
        }  # fmt: skip
        _open(file, shown)
        return
    from nanospine.io.registry import read

    if (file / "run.json").is_file() and show is Show.spines:
        from nanospine.cli.report import analysed_again

        found = analysed_again(file)[1]
        locs = found.localizations if colour_by is not None else None
        _draw(found.spines, locs, png, camera, colour_by, width, height, dark)
        say(f"picture written to {png}")
        return
    run = file if (file / "run.json").is_file() else None
    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(run / "localizations.parquet" if run else file, **options)
    if channel is not None:
        locs = locs.channel(channel)
    precision = None if precision_nm is None else one_or_three(precision_nm)
    thing = None
    if show is not Show.points:
        thing = _found(locs, show, label, alpha_nm, precision)
    with_points = thing is None or colour_by is not None
    _draw(thing, locs if with_points else None, png, camera, colour_by, width, height, dark)
    say(f"picture written to {png}")


def _found(
    locs: Localizations,
    show: Show,
    label: Label,
    alpha_nm: str,
    precision: tuple[float, ...] | None,
) -> Thing:
    """Wrap localizations, and find their spines where that is asked and they are 3-D."""
    from nanospine.pipeline import require_points
    from nanospine.spines.find import find_spines
    from nanospine.surface.envelope import envelope

    require_points(locs)
    marks: Literal["membrane", "filled"] = "filled" if label is Label.filled else "membrane"
    if locs.dimension == 2:
        say("the localizations are 2-D and are drawn without a surface")
        return None
    with progress_bar() as progress:
        alpha = alpha_or_auto(alpha_nm)
        wrapped = envelope(locs, alpha_nm=alpha, label=marks, progress=progress)
        if show is Show.envelope:
            return wrapped
        one = None if precision is None else precision[0] if len(precision) == 1 else precision
        return find_spines(wrapped, locs, label=marks, precision_nm=one, progress=progress)


def _draw(
    thing: Thing,
    locs: Localizations | None,
    path: Path,
    camera: str,
    colour_by: ColourBy | None,
    width: int,
    height: int | None,
    dark: bool,
) -> None:
    from nanospine.output.render_movie import MOVIE_SUFFIXES, turntable
    from nanospine.output.render_scene import render

    colour = None if colour_by is None else colour_by.value
    if thing is None and locs is not None and locs.dimension == 2 and camera == "across":
        camera = "top"
    view = _camera(camera)
    if path.suffix.lower() in MOVIE_SUFFIXES:
        with progress_bar() as progress:
            turntable(
                thing, path, locs, camera=view, width=width, height=height,
                colour_by=colour, dark=dark, progress=progress,
            )  # fmt: skip
        return
    render(
        thing, locs, colour_by=colour, camera=view, path=path, width=width, height=height, dark=dark
    )


def _camera(text: str) -> str | tuple[float, float]:
    """Read the name of a view, or two angles.

    Examples
    --------
    >>> _camera("side"), _camera("30,45")
    ('side', (30.0, 45.0))
    """
    if "," not in text:
        return text
    try:
        azimuth, elevation = (float(item) for item in text.split(","))
    except ValueError:
        raise ConfigError(
            f"camera: AZIMUTH,ELEVATION are two numbers of degrees; found {text!r}."
        ) from None
    return azimuth, elevation


def _open(file: Path, options: dict[str, Any]) -> None:
    """Open napari where it is installed, else a report in the browser."""
    if not file.exists():
        raise ConfigError(f"{file}: there is no such file or folder.")
    if file.suffix.lower() == ".html":
        _browse(file)
        return
    if importlib.util.find_spec("napari") is not None:
        # In a process of its own: Qt and the command line both want to own theirs
        command = [sys.executable, "-m", "nanospine.napari", str(file)]
        code = subprocess.run(command, check=False).returncode
        if code:
            raise typer.Exit(code if code > 0 else EXIT_BUG)
        return
    if (file / "run.json").is_file() and not (file / "report.html").is_file():
        raise ConfigError(f"{file}: there is no report in it; `nanospine report {file}` makes one.")
    if (file / "report.html").is_file():
        _browse(file / "report.html")
        return
    say("napari is not installed (pip install 'nanospine[napari]'): a report is made instead")
    # The browser reads it after this command has ended: it is left where it is
    folder = Path(tempfile.mkdtemp(prefix="nanospine-view-")) / f"{file.name}-spines"
    from nanospine.cli.spines import spines

    spines(file, out=folder, **options)
    _browse(folder / "report.html")


def _browse(page: Path) -> None:
    import webbrowser

    if not webbrowser.open(page.resolve().as_uri()):
        say(f"no browser was found; open {page} in one")
