"""Light: what turns depths and normals into a picture from which shape can be read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import ndimage

from nanospine.output.raster_fill import Layer

__all__ = ["Range", "ambient_occlusion", "shade"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]

#: Nearest and farthest nm of everything in a picture, for the depth cue.
Range = tuple[float, float]

_LIGHT = np.array([-0.45, 0.55, 0.70]) / np.linalg.norm([-0.45, 0.55, 0.70])
_TO_VIEWER = np.array([0.0, 0.0, 1.0])
_HALF_WAY = (_LIGHT + _TO_VIEWER) / np.linalg.norm(_LIGHT + _TO_VIEWER)
_REACHES_NM = (90.0, 450.0)
_SAMPLES = 12
# Part of its light that the farthest place of a picture loses
_CUE = 0.22


def shade(layer: Layer, span: Range, factor: int = 1, strength: float = 1.0) -> Float32Array:
    """Light a layer: diffuse and shine, ambient occlusion, outlines at jumps, fading with depth.

    Parameters
    ----------
    layer : Layer
    span : (float, float)
        Farthest and nearest depth in nm: what is far is darker by up to 22 %.
    factor : int
        The layer is this much finer than the picture; occlusion, which is smooth, is found at
        the resolution of the picture.
    strength : float
        Of occlusion and outlines: less than 1 for clouds of points, which hide each other
        everywhere and would only get darker.

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
        0 to 1; without meaning where nothing was drawn.
    """
    far, near = span
    cue_per_nm = _CUE / max(near - far, 1.0)
    lit = np.empty((*layer.depth.shape, 3), dtype=np.float32)
    occlusion = np.float32(strength) * ambient_occlusion(layer, factor)
    filled = np.where(layer.drawn, layer.depth, np.float32(far))
    outline = ndimage.maximum_filter(filled, 2 * factor - 1 if factor > 1 else 3) - filled
    outline *= np.float32(strength)
    _light(
        layer.surface, filled, outline, occlusion, far, cue_per_nm, _LIGHT, _HALF_WAY, factor, lit
    )
    return lit


def ambient_occlusion(layer: Layer, factor: int = 1) -> Float32Array:
    r"""Part of the sky that is hidden from each pixel, by what stands around it in the depth.

    For each pixel with place :math:`p` and normal :math:`n`, twelve places :math:`q` within a
    reach on the screen are looked at; the hidden part is the mean of
    :math:`\max(0, v \cdot n / |v| - 0.1)` with :math:`v = q - p`, faded with
    :math:`|v|` (screen-space obscurance; McGuire et al., "The Alchemy Screen-Space Ambient
    Obscurance Algorithm", HPG 2011). Reaches of 90 and 450 nm find the cleft of a neck and the
    shadow of a head on its dendrite.

    Returns
    -------
    ndarray of float32, shape (height // factor, width // factor)
        0 open, towards 1 hidden.
    """
    depth = np.ascontiguousarray(layer.depth[::factor, ::factor])
    normal = np.ascontiguousarray(layer.surface[::factor, ::factor, 3:])
    pixel_nm = layer.nm_per_pixel * factor
    hidden = np.zeros(depth.shape, dtype=np.float32)
    for reach_nm in _REACHES_NM:
        # A reach of half the picture is no neighbourhood any more, and slow to read
        reach = min(reach_nm / pixel_nm, 0.15 * max(depth.shape))
        if reach >= 1.0:
            _obscure(depth, normal, pixel_nm, reach, _SAMPLES, hidden)
    return np.asarray(ndimage.uniform_filter(hidden, 4), dtype=np.float32)


@njit(cache=True)
def _obscure(  # pragma: no cover - compiled
    depth: Float32Array,
    normal: Float32Array,
    pixel_nm: float,
    reach: float,
    samples: int,
    hidden: Float32Array,
) -> None:
    height, width = depth.shape
    reach_nm = reach * pixel_nm
    for y in range(height):
        for x in range(width):
            z = depth[y, x]
            if z == -np.inf:
                continue
            nx, ny, nz = normal[y, x, 0], normal[y, x, 1], normal[y, x, 2]
            length = np.sqrt(nx * nx + ny * ny + nz * nz)
            if length < 1e-6:
                continue
            # A spiral, turned by an angle that repeats every 4 x 4 pixels: a blur of that size
            # takes out the pattern
            start = ((x % 4) + 4 * (y % 4)) * 0.3926990817
            total = 0.0
            for s in range(samples):
                far = reach * (s + 0.5) / samples
                angle = start + 2.399963 * s
                qx, qy = x + round(far * np.cos(angle)), y + round(far * np.sin(angle))
                if qx < 0 or qy < 0 or qx >= width or qy >= height:
                    continue
                other = depth[qy, qx]
                if other == -np.inf:
                    continue
                vx, vy, vz = (qx - x) * pixel_nm, (y - qy) * pixel_nm, other - z
                long = np.sqrt(vx * vx + vy * vy + vz * vz)
                if long < 1e-3:
                    continue
                sine = (vx * nx + vy * ny + vz * nz) / (length * long) - 0.1
                if sine > 0.0:
                    fade = 1.0 / (1.0 + (long / reach_nm) ** 2)
                    total += sine * fade
            hidden[y, x] += 1.1 * total / samples


@njit(cache=True)
def _light(  # pragma: no cover - compiled
    surface: Float32Array,
    depth: Float32Array,
    jump: Float32Array,
    occlusion: Float32Array,
    far: float,
    cue_per_nm: float,
    light: FloatArray,
    half_way: FloatArray,
    factor: int,
    lit: Float32Array,
) -> None:
    height, width = depth.shape
    for y in range(height):
        for x in range(width):
            nx, ny, nz = surface[y, x, 3], surface[y, x, 4], surface[y, x, 5]
            length = max(np.sqrt(nx * nx + ny * ny + nz * nz), 1e-6)
            if nz < 0.0:  # the inside of an open surface is lit like its outside
                length = -length
            nx, ny, nz = nx / length, ny / length, nz / length
            # Light that reaches a little around the edge: sides turned away keep their colour
            diffuse = max(nx * light[0] + ny * light[1] + nz * light[2] + 0.3, 0.0) / 1.3
            shine = max(nx * half_way[0] + ny * half_way[1] + nz * half_way[2], 0.0) ** 30
            edge = min(max(jump[y, x] / 150.0 - 0.3, 0.0), 1.0) * 0.55
            cue = 1.0 - _CUE + cue_per_nm * (depth[y, x] - far)
            hidden = min(
                occlusion[
                    min(y // factor, occlusion.shape[0] - 1),
                    min(x // factor, occlusion.shape[1] - 1),
                ],
                0.75,
            )
            # Light from above, a little from below so that no side is black, and shade in clefts
            bright = (0.50 + 0.58 * diffuse + 0.06 * (1.0 - nz)) * (1.0 - hidden) * cue
            bright *= 1.0 - edge
            for a in range(3):
                value = surface[y, x, a] * bright + 0.14 * shine * cue * (1.0 - hidden)
                lit[y, x, a] = min(max(value, 0.0), 1.0)
