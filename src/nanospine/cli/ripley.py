"""`nanospine ripley FILE`: K, L, H, g, G, F or J of one channel or two, against simulations."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, progress_bar, records, say
from nanospine.cli.options import (
    FormatOption,
    InputArgument,
    JsonOption,
    OverwriteOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)
from nanospine.cli.regions import RegionOption, VoxelOption, ZRangeOption, chosen_region

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.core.region import Region
    from nanospine.statistics.curve import SummaryFunction
    from nanospine.statistics.envelope_result import EnvelopeTest
    from nanospine.statistics.randomisation import NullModel

__all__ = ["ripley"]

_MARKER = "ripley.json"
_MOST_RADII = 100_000


class Function(StrEnum):
    """Summary functions."""

    K = "K"
    L = "L"
    H = "H"
    g = "g"
    G = "G"
    F = "F"
    J = "J"


class Null(StrEnum):
    """Null models."""

    csr = "csr"
    labelling = "labelling"
    shift = "shift"
    clusters = "clusters"
    uneven = "uneven"


class Kind(StrEnum):
    """Kinds of envelope."""

    rank = "rank"
    global_ = "global"
    pointwise = "pointwise"


def checked_radii_text(text: str) -> str:
    """Check what `--radii` says before anything is read.

    Examples
    --------
    >>> checked_radii_text("10:30:10")
    '10:30:10'
    """
    if text != "auto":
        radii_of(text)
    return text


def radii_of(text: str) -> list[float]:
    """Read radii: `start:stop:step` with the stop included, or numbers with commas between.

    Examples
    --------
    >>> radii_of("10:30:10"), radii_of("5,20")
    ([10.0, 20.0, 30.0], [5.0, 20.0])
    """
    try:
        if ":" in text:
            start, stop, step = (float(item) for item in text.split(":"))
            count = int((stop - start) / step + 1e-9) + 1
            found = [start + step * k for k in range(count if count <= _MOST_RADII else 0)]
        else:
            found = [float(item) for item in text.split(",")]
    except (ValueError, ZeroDivisionError, OverflowError):
        found = []
    rising = all(a < b for a, b in pairwise(found))
    if not found or not rising or found[0] < 0 or not found[-1] < float("inf"):
        raise typer.BadParameter(
            f"'auto', start:stop:step or rising distances as 10,20,50 (nm), not {text!r}"
        )
    return found


def ripley(
    file: InputArgument,
    function: Annotated[
        Function, typer.Option("--function", "-f", help="Summary function of distance.")
    ] = Function.L,
    channel: Annotated[str | None, typer.Option("--channel", help="Take this channel only.")] = (
        None
    ),
    other: Annotated[
        str | None, typer.Option("--other", help="Second channel: the cross function.")
    ] = None,
    radii: Annotated[
        str,
        typer.Option(
            "--radii",
            metavar="auto|START:STOP:STEP|R,R,...",
            callback=checked_radii_text,
            help="Distances, nm.",
        ),
    ] = "auto",
    correction: Annotated[
        str | None,
        typer.Option("--correction", help="Edge correction; left out: that of the function."),
    ] = None,
    region: RegionOption = None,
    voxel_nm: VoxelOption = None,
    z_range_nm: ZRangeOption = None,
    null: Annotated[
        Null,
        typer.Option(
            "--null",
            help="csr: uniform; labelling: channels shuffled; shift: the second channel moved as "
            "a whole; clusters: clusters (column `cluster`) moved as wholes; uneven: independent, "
            "with the density of the points smoothed by --bandwidth-nm.",
        ),
    ] = Null.csr,
    bandwidth_nm: Annotated[
        float | None,
        typer.Option("--bandwidth-nm", min=1e-9, help="Smoothing for --null uneven, nm."),
    ] = None,
    density_of: Annotated[
        str | None,
        typer.Option(
            "--density-of",
            metavar="CHANNEL",
            help="Smooth this channel instead, for --null uneven.",
        ),
    ] = None,
    simulations: Annotated[
        int, typer.Option("--simulations", min=0, help="0: the curve only, without a test.")
    ] = 199,
    kind: Annotated[
        Kind, typer.Option("--kind", help="rank and global test the whole curve.")
    ] = Kind.rank,
    level: Annotated[
        float, typer.Option("--level", min=1e-6, max=0.999999, help="Of the envelope.")
    ] = 0.05,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulations.")] = 0,
    workers: Annotated[int, typer.Option("--workers", min=1, help="Simulations at once.")] = 1,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for tables and the figure."),
    ] = None,
    format: FormatOption = None,
    pixel_size_nm: PixelSizeOption = None,
    units: UnitsOption = None,
    z_scale: ZScaleOption = None,
    overwrite: OverwriteOption = False,
    json: JsonOption = False,
) -> None:
    """Measure clustering at all distances, and test it against simulated patterns."""
    from nanospine.core.folders import check_target
    from nanospine.io.registry import read

    if out is not None:
        check_target(out, overwrite=overwrite, marker=_MARKER)
    if (null is Null.uneven) != (bandwidth_nm is not None):
        raise typer.BadParameter("--null uneven and --bandwidth-nm NM go together")
    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    locs = read(file, **options)
    uneven = bandwidth_nm, None if density_of is None else locs.channel(density_of)
    first, second, pooled = _channels(locs, channel, other)
    window = chosen_region(
        region, *((first,) if second is None else (first, second)),
        voxel_nm=voxel_nm, z_range_nm=z_range_nm,
    )  # fmt: skip
    distances = _radii(radii, first, second, window, function.value)
    with progress_bar() as progress:
        if simulations == 0:
            from nanospine.statistics.simulated_curves import named_function

            result: Any = named_function(function.value)(
                first, distances, region=window, other=second, **given(correction=correction)
            )
        else:
            from nanospine.statistics.envelopes import simulation_envelope

            result = simulation_envelope(
                first, function.value, distances, null=_null(null, first, second, uneven),
                n_simulations=simulations, kind=kind.value, level=level, other=second,
                region=window, correction=correction, seed=seed, workers=workers,
                progress=progress,
            )  # fmt: skip
    result = replace(result, notes=result.notes + pooled + _blinking(first, second))
    title = file.name + "".join(f", {item}" for item in (channel, other) if item is not None)
    summary = _summary(result, title, seed)
    if out is not None:
        _write(result, summary, out, title, overwrite=overwrite)
        say(f"ripley.csv, ripley.parquet, ripley.png and {_MARKER} written to {out}")
    if json:
        emit_json(summary | {"curve": records(result.to_frame())})
        return
    _show(summary)


def _radii(
    text: str,
    first: Localizations,
    second: Localizations | None,
    region: Region | None,
    function: str,
) -> Any:
    if text != "auto":
        return radii_of(text)
    from nanospine.statistics.patterns import pattern, shared_region
    from nanospine.statistics.radii import automatic_radii

    searched = first if second is None else second
    window = region if second is None else shared_region(first, second, region)
    return automatic_radii(pattern(searched, window), function)


def _null(
    null: Null,
    first: Localizations,
    second: Localizations | None,
    uneven: tuple[float | None, Localizations | None],
) -> str | NullModel:
    if null is Null.uneven:
        from nanospine.statistics.uneven import UnevenRandomness

        return UnevenRandomness(uneven[0], uneven[1])
    if null is not Null.clusters:
        return null.value
    from nanospine.core.errors import SchemaError
    from nanospine.statistics.randomisation import ShiftedClusters

    moved = first if second is None else second
    if "cluster" not in moved.table:
        raise SchemaError(
            "--null clusters moves clusters as wholes and needs a column 'cluster', found "
            f"{', '.join(moved.table.columns)}; make one with `nanospine filter --step cluster`."
        )
    labels = moved.table["cluster"]
    if labels.dtype.kind == "f":  # an empty cell is no cluster
        labels = labels.fillna(-1)
    return ShiftedClusters(labels.to_numpy())


def _channels(
    locs: Localizations, channel: str | None, other: str | None
) -> tuple[Localizations, Localizations | None, tuple[str, ...]]:
    """Give the first and the second pattern, and a note where channels were put together."""
    from nanospine.core.errors import ConfigError

    second = None if other is None else locs.channel(other)
    if channel is not None:
        if channel == other:
            raise ConfigError(
                f"--channel and --other name the same channel {channel!r}; leave --other out for "
                "the function of one channel."
            )
        return locs.channel(channel), second, ()
    names = tuple(name for name in locs.channels if name != other)
    if second is not None:
        if not names:
            raise ConfigError(
                f"--other {other!r} is the only channel of the file; leave it out for the function "
                "of one channel."
            )
        rest = (locs.table["channel"] != other).to_numpy()
        locs = locs.select(rest, operation="without", arguments={"channel": other})
    if len(names) < 2:
        return locs, second, ()
    return locs, second, (f"channels {', '.join(names)} together; --channel takes one",)


def _blinking(*patterns: Localizations | None) -> tuple[str, ...]:
    from nanospine.statistics.soda_blinking import near_duplicates

    shares = [near_duplicates(item) for item in patterns if item is not None]
    return tuple(
        f"{share:.0%} of the localizations have another one within the precision, as of molecules "
        "that blink: small distances show molecules, not clusters; link or cluster them first"
        for share in shares
        if share is not None
    )


def _summary(result: EnvelopeTest | SummaryFunction, title: str, seed: int) -> dict[str, Any]:
    from nanospine.statistics.envelope_result import EnvelopeTest

    test = result if isinstance(result, EnvelopeTest) else None
    summary: dict[str, Any] = {
        "input": title,
        "function": result.function if isinstance(result, EnvelopeTest) else result.name,
        "correction": result.correction,
        "n_points": result.n_points,
        "n_other": result.n_other,
        "radius_from_nm": float(result.radii_nm[0]),
        "radius_to_nm": float(result.radii_nm[-1]),
        "n_radii": len(result.radii_nm),
    }
    if test is not None:
        beyond = test.radii_nm[test.outside]
        mad, dclf = test.mad_test(), test.dclf_test()
        summary |= {
            "null": test.null,
            "n_simulations": test.n_simulations,
            "seed": seed,
            "kind": test.kind,
            "level": test.level,
            "p_value": None if test.kind == "pointwise" else test.p_value,
            "mad_p_value": mad.p_value,
            "dclf_p_value": dclf.p_value,
            "n_radii_outside": len(beyond),
            "first_radius_outside_nm": float(beyond[0]) if len(beyond) else None,
        }
    return summary | {"notes": list(result.notes)}


def _write(
    result: EnvelopeTest | SummaryFunction,
    summary: dict[str, Any],
    out: Path,
    title: str,
    *,
    overwrite: bool,
) -> None:
    import json

    from nanospine.core.folders import atomic_folder
    from nanospine.core.history import plain
    from nanospine.output.statistics_ripley import ripley_figure

    frame = result.to_frame()
    with atomic_folder(out, overwrite=overwrite, marker=_MARKER) as folder:
        frame.to_csv(folder / "ripley.csv", index=False)
        frame.to_parquet(folder / "ripley.parquet", index=False)
        ripley_figure(result, folder / "ripley.png", title=title)
        text = json.dumps(plain(summary), indent=1, ensure_ascii=False)
        (folder / _MARKER).write_text(text + "\n", encoding="utf-8")


def _show(summary: dict[str, Any]) -> None:
    number = f"{summary['n_points']}"
    if summary["n_other"]:
        number += f" and {summary['n_other']}"
    pairs = {
        "function": f"{summary['function']}, correction {summary['correction']}",
        "points": number,
        "distances": f"{summary['radius_from_nm']:.4g} to {summary['radius_to_nm']:.4g} nm "
        f"({summary['n_radii']})",
    }
    if "null" in summary:
        p = summary["p_value"]
        pairs |= {
            "null model": f"{summary['null']}, {summary['n_simulations']} simulations",
            "p": "none (pointwise band)" if p is None else f"{p:.4g} ({summary['kind']})",
            "p of MAD, DCLF": f"{summary['mad_p_value']:.4g}, {summary['dclf_p_value']:.4g}",
            "outside the envelope": f"{summary['n_radii_outside']} of {summary['n_radii']} "
            "distances",
        }
        if summary["first_radius_outside_nm"] is not None:
            pairs["from"] = f"{summary['first_radius_outside_nm']:.4g} nm"
    emit_pairs(pairs)
    for note in summary["notes"]:
        say(f"note: {note}")
