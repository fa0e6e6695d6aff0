"""`nanospine couple A B`: how many objects of two channels are coupled, and at what distance."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nanospine.cli.console import emit_json, emit_pairs, progress_bar, records, say
from nanospine.cli.options import (
    FormatOption,
    JsonOption,
    OverwriteOption,
    PixelSizeOption,
    UnitsOption,
    ZScaleOption,
    given,
)
from nanospine.cli.regions import RegionOption, VoxelOption, ZRangeOption, chosen_region, numbers
from nanospine.cli.ripley import radii_of

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.statistics.soda_chains import SodaChains
    from nanospine.statistics.soda_result import SodaResult

__all__ = ["couple"]

_MARKER = "couple.json"


class Target(StrEnum):
    """What the interval is for."""

    sample = "sample"
    population = "population"


class Partners(StrEnum):
    """Partners that a point of the first channel can have."""

    auto = "auto"
    one = "one"
    any = "any"


class Legacy(StrEnum):
    """Programs whose figures can be reproduced."""

    icy = "icy"


def _checked(text: str) -> str:
    radii_of(text)
    return text


def couple(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A", help="First channel: a file, or FILE:CHANNEL. The one with structure."
        ),
    ],
    second: Annotated[
        str | None,
        typer.Argument(metavar="B", help="Second channel: a file, or FILE:CHANNEL."),
    ] = None,
    channels: Annotated[
        str | None,
        typer.Option(
            "--channels", metavar="A,B[,C]", help="Two or three channels of one file, instead of B."
        ),
    ] = None,
    third: Annotated[
        str | None,
        typer.Option(
            "--third", metavar="C",
            help="Third channel, a file or FILE:CHANNEL: chains A-B-C of coupled objects.",
        ),
    ] = None,
    radii: Annotated[
        str,
        typer.Option(
            "--radii", metavar="START:STOP:STEP|R,R,...", callback=_checked,
            help="Edges of the rings, nm, from 0.",
        ),
    ] = "25:250:25",
    region: RegionOption = None,
    voxel_nm: VoxelOption = None,
    z_range_nm: ZRangeOption = None,
    registration_error_nm: Annotated[
        str | None,
        typer.Option(
            "--registration-error-nm", metavar="NM|X,Y,Z",
            help="Uncertain shift between the channels; enters the intervals.",
        ),
    ] = None,
    level: Annotated[
        float, typer.Option("--level", min=1e-6, max=0.999999, help="Of the intervals.")
    ] = 0.95,
    target: Annotated[
        Target, typer.Option("--target", help="Share of these objects, or of their kind.")
    ] = Target.sample,
    partners: Annotated[
        Partners, typer.Option("--partners", help="Partners of an object of A.")
    ] = Partners.auto,
    legacy: Annotated[
        Legacy | None,
        typer.Option("--legacy", help="The figures of an older program, its errors included."),
    ] = None,
    pixel_nm: Annotated[
        float, typer.Option("--pixel-nm", min=1e-9, help="Pixel, for --legacy icy.")
    ] = 1.0,
    simulations: Annotated[
        int, typer.Option("--simulations", min=0, help="For the p-value.")
    ] = 999,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the simulations.")] = 0,
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
) -> None:  # fmt: skip
    """Find coupled objects of two channels: how many, at what distance, which ones (SODA)."""
    from nanospine.core.folders import check_target
    from nanospine.statistics.soda import soda

    if out is not None:
        check_target(out, overwrite=overwrite, marker=_MARKER)
    options = given(format=format, pixel_size_nm=pixel_size_nm, units=units, z_scale=z_scale)
    a, b, c, title = _channels(first, second, third, channels, options)
    every = (a, b) if c is None else (a, b, c)
    window = chosen_region(region, *every, voxel_nm=voxel_nm, z_range_nm=z_range_nm)
    shift = None
    if registration_error_nm is not None:
        values = numbers(registration_error_nm, 1, 2, 3)
        shift = values[0] if len(values) == 1 else values
    import warnings

    with progress_bar() as progress, warnings.catch_warnings():
        # What is warned of is among the notes as well, which are shown below.
        warnings.simplefilter("ignore")

        def coupled(x: Localizations, y: Localizations) -> SodaResult:
            return soda(
                x, y, radii_of(radii), region=window, level=level, target=target.value,
                partners=partners.value, registration_error_nm=shift,
                legacy="icy" if legacy is Legacy.icy else None, pixel_nm=pixel_nm,
                n_simulations=simulations, seed=seed, progress=progress,
            )  # fmt: skip

        result = coupled(a, b)
        chains = None
        if c is not None:
            chains = _joined(result, coupled(b, c), b, simulations, seed)
    row = records(result.to_frame())[0]
    summary: dict[str, Any] = {"input": title, **row, "seed": seed, "notes": list(result.notes)}
    tables = {"rings": result.rings, "pairs": result.pairs, "objects": result.objects()}
    if chains is not None:
        summary["chains"] = records(chains.to_frame())[0]
        tables["chains"] = chains.chains
    if out is not None:
        _write(result, tables, summary, out, title, overwrite=overwrite)
        say(f"{', '.join(tables)} (.csv, .parquet), couple.png and {_MARKER} written to {out}")
    if json:
        emit_json(summary | {"rings": records(result.rings)})
        return
    _show(result, chains)


def _joined(
    ab: SodaResult, bc: SodaResult, b: Localizations, simulations: int, seed: int
) -> SodaChains:
    """Chains A-B-C, with a joint test by shifts."""
    from nanospine.statistics.soda_chains import soda_chains

    return soda_chains(ab, bc, b=b, n_simulations=max(simulations, 19), seed=seed)


def _channels(
    first: str, second: str | None, third: str | None, names: str | None, options: dict[str, Any]
) -> tuple[Localizations, Localizations, Localizations | None, str]:
    if (second is None) == (names is None):
        raise typer.BadParameter("two channels are needed: A and B, or A with --channels A,B")
    if names is not None:
        group = [item.strip() for item in names.split(",")]
        if len(group) not in (2, 3) or len(set(group)) < len(group) or not all(group):
            raise typer.BadParameter(
                f"--channels takes two or three different names, not {names!r}"
            )
        if len(group) == 3 and third is not None:
            raise typer.BadParameter("the third channel is named twice, by --channels and --third")
        from nanospine.io.registry import read

        held = read(Path(first), **options)
        a, b, *rest = (held.channel(name) for name in group)
        c = rest[0] if rest else None
        title = f"{Path(first).name}, {names}"
    else:
        assert second is not None
        a, b, c = _channel(first, options), _channel(second, options), None
        title = f"{Path(first).name} and {Path(second).name}"
    if third is not None:
        c, title = _channel(third, options), f"{title}, then {Path(third).name}"
    return a, b, c, title


def _channel(text: str, options: dict[str, Any]) -> Localizations:
    """Read FILE or FILE:CHANNEL; a file of that very name comes first."""
    from nanospine.io.registry import read

    path, _, name = text.rpartition(":")
    if Path(text).exists() or not path or not Path(path).exists():
        return read(Path(text), **options)
    return read(Path(path), **options).channel(name)


def _write(
    result: SodaResult,
    tables: dict[str, Any],
    summary: dict[str, Any],
    out: Path,
    title: str,
    *,
    overwrite: bool,
) -> None:
    import json

    from nanospine.core.folders import atomic_folder
    from nanospine.core.history import plain
    from nanospine.output.statistics_soda import soda_figure

    with atomic_folder(out, overwrite=overwrite, marker=_MARKER) as folder:
        for name, frame in tables.items():
            frame.to_csv(folder / f"{name}.csv", index=False)
            frame.to_parquet(folder / f"{name}.parquet", index=False)
        soda_figure(result, folder / "couple.png", title=title)
        text = json.dumps(plain(summary), indent=1, ensure_ascii=False)
        (folder / _MARKER).write_text(text + "\n", encoding="utf-8")


def _show(result: SodaResult, chains: SodaChains | None) -> None:
    def share(side: str) -> str:
        value, low, high = (
            getattr(result, f"coupled_fraction_{side}{end}") for end in ("", "_low", "_high")
        )
        return f"{value:.1%} ({low:.1%} to {high:.1%})" if low == low else f"{value:.1%}"

    rows = {
        "points": f"{result.n_a} and {result.n_b}",
        "coupled of A": share("a"),
        "coupled of B": share("b"),
        "distance": f"{result.mean_distance_nm:.4g} ± {result.std_distance_nm:.4g} nm "
        f"({result.distance_model})",
        "p": f"{result.p_value:.3g}",
    }
    if chains is not None:
        rows["chains A-B-C"] = (
            f"{chains.expected:.1f} objects of B, {chains.expected_by_chance:.1f} by chance; "
            f"p = {chains.p_value:.3g} (random {chains.test}s)"
        )
    emit_pairs(rows)
    for note in result.notes:
        say(f"note: {note}")
