"""Options that several verbs share, each said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

__all__ = [
    "AlphaOption",
    "ChannelOption",
    "FormatOption",
    "InputArgument",
    "JsonOption",
    "Label",
    "LabelOption",
    "OverwriteOption",
    "PixelSizeOption",
    "PrecisionOption",
    "Units",
    "UnitsOption",
    "ZScaleOption",
    "alpha_or_auto",
    "given",
    "one_or_three",
]


class Units(StrEnum):
    """Units of positions whose column names have none."""

    nm = "nm"
    um = "um"
    m = "m"
    px = "px"


class Label(StrEnum):
    """What the label marks."""

    membrane = "membrane"
    filled = "filled"


def alpha_or_auto(text: str) -> float | Literal["auto"]:
    """Read "auto" or a positive number of nanometres.

    Examples
    --------
    >>> alpha_or_auto("auto"), alpha_or_auto("80")
    ('auto', 80.0)
    """
    if text == "auto":
        return "auto"
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"'auto' or a positive number of nanometres, not {text!r}")
    return value


def one_or_three(text: str) -> tuple[float, ...]:
    """Read one number of nanometres, or three for x, y and z with commas between.

    Examples
    --------
    >>> one_or_three("10"), one_or_three("10,10,20")
    ((10.0,), (10.0, 10.0, 20.0))
    """
    try:
        values = tuple(float(item) for item in text.split(","))
    except ValueError:
        values = ()
    if len(values) not in (1, 3) or not all(0 <= item < float("inf") for item in values):
        raise typer.BadParameter(f"a number of nanometres, or three as 10,10,20, not {text!r}")
    return values


def given(**values: Any) -> dict[str, Any]:
    """Keep what was given: options that are None take the default of what they are handed to.

    Examples
    --------
    >>> given(units=Units.nm, format=None)
    {'units': 'nm'}
    """
    return {
        name: value.value if isinstance(value, StrEnum) else value
        for name, value in values.items()
        if value is not None
    }


InputArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="Localizations, in any format that is known.")
]
FormatOption = Annotated[
    str | None, typer.Option("--format", help="Name of the format, where the content is not clear.")
]
PixelSizeOption = Annotated[
    float | None,
    typer.Option("--pixel-size-nm", min=1e-6, help="Camera pixel size in the sample, nm."),
]
UnitsOption = Annotated[
    Units | None, typer.Option("--units", help="Unit of positions whose column names have none.")
]
ZScaleOption = Annotated[
    float | None,
    typer.Option("--z-scale", min=1e-6, help="Factor on z for the mismatch of refractive indices."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Write JSON on stdout.")]
AlphaOption = Annotated[
    str,
    typer.Option(
        "--alpha-nm",
        callback=lambda text: str(alpha_or_auto(text)),
        help="Radius of the probe sphere, nm: gaps smaller than it stay closed.",
    ),
]
LabelOption = Annotated[
    Label, typer.Option("--label", help="The label is on the membrane, or fills the volume.")
]
ChannelOption = Annotated[
    str | None, typer.Option("--channel", help="The channel that shows the dendrite.")
]
PrecisionOption = Annotated[
    str | None,
    typer.Option(
        "--precision-nm",
        metavar="NM|X,Y,Z",
        help="Localization precision, where the table has none: 10 or 10,10,20.",
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Replace an earlier result in the folder.")
]
