"""Voxels that each raster tool was made for."""

from __future__ import annotations

from dataclasses import dataclass

from nanospine.core.errors import ConfigError

__all__ = ["PRESETS", "Preset", "preset_of"]

#: Standard deviations z, y, x in nm of a confocal microscope's point spread: our choice, not a
#: tool's. About 210 nm laterally and 590 nm axially at half maximum.
CONFOCAL_NM = (250.0, 90.0, 90.0)


@dataclass(frozen=True)
class Preset:
    """How to voxelize for a tool.

    Attributes
    ----------
    voxel_nm : tuple of float
        z, y, x.
    mode : str
        See :func:`nanospine.voxels.voxelize.voxelize`.
    psf_nm : tuple of float
        Standard deviations z, y, x of the smoothing, for the mode `smoothed`.
    peak : float
        Value of what is fully inside.
    """

    voxel_nm: tuple[float, float, float]
    mode: str = "smoothed"
    psf_nm: tuple[float, float, float] = CONFOCAL_NM
    peak: float = 255.0


#: Voxel sizes from the tools' publications, sources and examples.
PRESETS: dict[str, Preset] = {
    "deepd3": Preset((500.0, 94.0, 94.0)),
    "respan": Preset((150.0, 65.0, 65.0)),
    "respan-isotropic": Preset((65.0, 65.0, 65.0)),
    "respan-coarse": Preset((1000.0, 102.0, 102.0)),
    "deepspinetool": Preset((279.911, 75.1562, 75.1562)),
    "spinetool": Preset((100.0, 25.0, 25.0)),
    "nanospine": Preset((40.0, 40.0, 40.0), mode="count"),
}


def preset_of(name: str) -> Preset:
    """Give a preset by name.

    Raises
    ------
    ConfigError
        When there is none of that name.

    Examples
    --------
    >>> preset_of("deepd3").voxel_nm
    (500.0, 94.0, 94.0)
    """
    if name not in PRESETS:
        raise ConfigError(f"voxelize: preset {name!r} is not known; presets: {', '.join(PRESETS)}.")
    return PRESETS[name]
