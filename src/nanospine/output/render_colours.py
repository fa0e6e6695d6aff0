"""The colour of each localization: by depth, density, channel, precision or spine type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nanospine.core.colours import BACKGROUND_COLOUR, SHAFT_COLOUR, TYPE_COLOURS, rgb
from nanospine.core.errors import SchemaError

if TYPE_CHECKING:
    from nanospine.core.localizations import Localizations
    from nanospine.spines.model import Spines

__all__ = ["COLOUR_BY", "PointColours", "cube_density_per_um3", "point_colours"]

FloatArray = npt.NDArray[np.float64]

#: What localizations can be coloured by.
COLOUR_BY = ("depth", "density", "channel", "precision", "type")

# Told apart by people with any colour vision (Okabe and Ito), on white and on black
_CHANNEL_COLOURS = ("#e69f00", "#56b4e9", "#009e73", "#cc79a7", "#0072b2", "#d55e00", "#f0e442")
_MOST_CUBES = 16_000_000
_LEVELS = 256


@dataclass(frozen=True, eq=False)
class PointColours:
    """The colour of each localization as a row of a small table.

    Attributes
    ----------
    shade : ndarray of uint8, shape (n,)
        Row of `table`.
    table : ndarray of float32, shape (k, 3)
        Red, green, blue, 0 to 1.
    title : str
        What the colour means, with its unit.
    limits : (float, float) or None
        Values at the first and last row; None where the rows are `names`.
    names : tuple of str
        Of the rows, for a legend.
    """

    shade: npt.NDArray[np.uint8]
    table: npt.NDArray[np.float32]
    title: str
    limits: tuple[float, float] | None = None
    names: tuple[str, ...] = ()


def point_colours(
    locs: Localizations, colour_by: str, spines: Spines | None = None
) -> PointColours:
    """Give each localization a colour.

    Parameters
    ----------
    locs : Localizations
    colour_by : str
        "depth" (z, nm), "density" (localizations per µm³ in cubes of 50 nm, smoothed),
        "channel", "precision" (mean over the axes, nm), or "type" (of the spine that the
        localization belongs to, by the column `spine` or by `spines.localization_spine`).
    spines : Spines, optional
        For "type".

    Raises
    ------
    SchemaError
        When the localizations lack what is asked for.

    Examples
    --------
    >>> import nanospine as ns
    >>> locs = ns.from_arrays([[0, 0, 0], [10, 0, 500.0]])
    >>> found = point_colours(locs, "depth")
    >>> found.title, found.limits, found.shade.tolist()
    ('depth z (nm)', (0.0, 500.0), [0, 255])
    """
    if colour_by == "depth":
        column = "z_nm" if "z_nm" in locs.table else "y_nm"
        title = "depth z (nm)" if column == "z_nm" else "y (nm)"
        return _scaled(locs.table[column].to_numpy(), title, "turbo")
    if colour_by == "density":
        return _scaled(
            cube_density_per_um3(locs.xyz_nm), "localizations per µm³", "viridis", log=True
        )
    if colour_by == "precision":
        precision = locs.precision_nm
        if precision is None:
            raise SchemaError("render: there is no column precision_x_nm to colour by.")
        known = np.isfinite(precision)
        mean = np.where(known, precision, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return _scaled(mean, "localization precision (nm)", "plasma")
    if colour_by == "channel":
        return _by_channel(locs)
    if colour_by == "type":
        return _by_type(locs, spines)
    raise SchemaError(f"render: colour_by is one of {', '.join(COLOUR_BY)}; found {colour_by!r}.")


def cube_density_per_um3(xyz_nm: FloatArray, cube_nm: float = 50.0) -> FloatArray:
    """Localizations per µm³ around each one, from counts in cubes that are smoothed by one cube.

    Cubes grow where the field would need more than 16 million of them, so that memory stays
    bounded whatever the field. 2-D data are counted in squares of the cube's thickness.

    Parameters
    ----------
    xyz_nm : ndarray, shape (n, 3)
    cube_nm : float

    Returns
    -------
    ndarray, shape (n,)

    Examples
    --------
    >>> even = np.random.default_rng(0).random((50_000, 3)) * 1000
    >>> inside = np.all((even > 200) & (even < 800), axis=1)
    >>> bool(abs(cube_density_per_um3(even)[inside].mean() / 50_000 - 1) < 0.05)
    True
    """
    if len(xyz_nm) == 0:
        return np.zeros(0)
    low = xyz_nm.min(axis=0)
    span = xyz_nm.max(axis=0) - low
    size = cube_nm
    while np.prod(np.floor(span / size) + 1) > _MOST_CUBES:
        size *= 1.25
    shape = tuple((np.floor(span / size) + 1).astype(int))
    flat = np.empty(len(xyz_nm), dtype=np.int64)
    for start in range(0, len(xyz_nm), 1_000_000):
        part = slice(start, start + 1_000_000)
        cell = ((xyz_nm[part] - low) / size).astype(np.int64)
        flat[part] = np.ravel_multi_index(cell.T, shape)
    count = np.bincount(flat, minlength=int(np.prod(shape))).reshape(shape).astype(np.float32)
    # Constant beyond the field would add localizations that are not there
    smooth = ndimage.gaussian_filter(count, 1.0, mode="constant", truncate=2.0)
    return np.asarray(smooth.ravel()[flat], dtype=np.float64) / (size / 1000.0) ** 3


def _scaled(values: FloatArray, title: str, palette: str, *, log: bool = False) -> PointColours:
    """Spread values over a palette between their 1st and 99th percentile."""
    import matplotlib as mpl

    table = mpl.colormaps[palette](np.linspace(0.02, 0.98, _LEVELS))[:, :3].astype(np.float32)
    finite = values[np.isfinite(values)]
    some = finite[:: max(len(finite) // 1_000_000, 1)]
    low, high = (
        (np.percentile(some, (1, 99)) if len(some) > 200 else (some.min(), some.max()))
        if (len(some))
        else (0.0, 1.0)
    )
    low, high = float(low), float(max(high, low + 1e-9))
    if log and low > 0:
        level = np.log(np.maximum(values, low) / low) / np.log(high / low)
        title += " (log scale)"
    else:
        level = (values - low) / (high - low)
    shade = np.clip(np.nan_to_num(level) * _LEVELS, 0, _LEVELS - 1).astype(np.uint8)
    return PointColours(shade, table, title, (low, high))


def _by_channel(locs: Localizations) -> PointColours:
    names = locs.channels
    if not names:
        raise SchemaError("render: there is no column channel to colour by.")
    column = locs.table["channel"]
    known = [str(item) for item in column.cat.categories]
    row = np.array([names.index(name) if name in names else 0 for name in known])
    code = column.cat.codes.to_numpy()
    shade = np.where(code < 0, len(names), row[code]).astype(np.uint8)
    colours = [_CHANNEL_COLOURS[i % len(_CHANNEL_COLOURS)] for i in range(len(names))]
    table = np.stack([rgb(item) for item in [*colours, BACKGROUND_COLOUR]])
    return PointColours(shade, table.astype(np.float32), "channel", None, names)


def _by_type(locs: Localizations, spines: Spines | None) -> PointColours:
    number = None
    if "spine" in locs.table:
        number = locs.table["spine"].to_numpy()
    elif spines is not None and spines.localization_spine is not None:
        number = spines.localization_spine
    if spines is None or number is None or len(number) != len(locs):
        raise SchemaError(
            "render: colouring localizations by type needs the spines and a column spine, as "
            "`nanospine run` writes it into localizations.parquet."
        )
    kinds = list(TYPE_COLOURS)
    of_spine = np.array([kinds.index(item.type) for item in spines.spines] + [0])
    inside = of_spine[np.clip(number, 0, len(of_spine) - 1)]
    shade = np.where(number >= 0, inside, len(kinds) + (number < -1)).astype(np.uint8)
    colours = [*TYPE_COLOURS.values(), SHAFT_COLOUR, BACKGROUND_COLOUR]
    table = np.stack([rgb(item) for item in colours]).astype(np.float32)
    return PointColours(shade, table, "spine type", None, (*kinds, "shaft"))
