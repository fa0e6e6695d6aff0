"""Shaded pictures of meshes and points without a screen or a graphics card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from nanospine.output.raster_camera import Camera
from nanospine.output.raster_fill import (
    Layer,
    draw_points,
    draw_triangles,
    empty_layer,
    vertex_normals,
)
from nanospine.output.raster_shade import Range, shade

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Camera", "Dots", "Picture", "Surface", "compose", "draw_mesh"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Surface:
    """Triangles to draw.

    Parameters
    ----------
    vertices_nm, faces : ndarray, shape (n, 3), (m, 3)
    colours : ndarray, shape (n, 3)
        Red, green, blue of each vertex, 0 to 1.
    normals : ndarray, shape (n, 3)
    opacity : float
        1 hides what is behind. Of what is less, only the front is drawn, as of a glass.
    nearest_nm : float
        What is nearer to the viewer than this, seen from the middle of the picture, is cut off;
        closed surfaces are sections there.
    """

    vertices_nm: FloatArray
    faces: IntArray
    colours: FloatArray
    normals: FloatArray
    opacity: float = 1.0
    nearest_nm: float = np.inf


@dataclass(frozen=True, eq=False)
class Dots:
    """Points to draw as small balls.

    Parameters
    ----------
    xyz_nm : ndarray, shape (n, 3)
    shade : ndarray of uint8, shape (n,)
        Row of `table` for each point.
    table : ndarray of float32, shape (k, 3)
        Colours, 0 to 1.
    radius_nm : float
    """

    xyz_nm: FloatArray
    shade: npt.NDArray[np.uint8]
    table: Float32Array
    radius_nm: float


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture and how near the solid things in it are.

    Attributes
    ----------
    image : ndarray of float32, shape (height, width, 3)
        0 to 1.
    depth : ndarray of float32, shape (height, width)
        Nearness in nm of what is solid, -inf where nothing is.
    """

    image: Float32Array
    depth: Float32Array


def compose(
    surfaces: Sequence[Surface],
    dots: Dots | None,
    camera: Camera,
    *,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
    factor: int = 2,
) -> Picture:
    """Draw surfaces and points into one picture.

    Parameters
    ----------
    surfaces : sequence of Surface
        Solid ones hide each other where they are nearer; translucent ones lie over them.
    dots : Dots, optional
    camera : Camera
    background : (float, float, float)
        Red, green, blue, 0 to 1.
    factor : int
        Everything is drawn this many times larger and averaged: smooth outlines.

    Returns
    -------
    Picture
    """
    fine = camera.finer(factor)
    solid = empty_layer(fine)
    for item in surfaces:
        if item.opacity >= 1:
            _draw(solid, fine, item)
    if dots is not None:
        draw_points(solid, fine, dots.xyz_nm, dots.shade, dots.table, dots.radius_nm)
    glass = [(item, empty_layer(fine)) for item in surfaces if item.opacity < 1]
    for item, layer in glass:
        _draw(layer, fine, item)
    span = _range([solid, *(layer for _, layer in glass)])
    image = np.broadcast_to(np.asarray(background, dtype=np.float32), (*solid.depth.shape, 3))
    cloud = dots is not None and all(item.opacity < 1 for item in surfaces)
    lit = shade(solid, span, factor, strength=0.3 if cloud else 1.0)
    image = np.where(solid.drawn[..., None], lit, image)
    for item, layer in glass:
        _lay_over(image, solid, layer, item.opacity, span, factor)
    height, width = camera.height, camera.width
    mean = image.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    return Picture(np.clip(mean, 0.0, 1.0).astype(np.float32), solid.depth[::factor, ::factor])


def draw_mesh(
    vertices_nm: FloatArray,
    faces: IntArray,
    colours: FloatArray,
    camera: Camera,
    *,
    background: tuple[float, float, float] = (1.0, 1.0, 1.0),
) -> Float32Array:
    """Draw a mesh: nearest surface, light from the upper left, occlusion, and depth cueing.

    Parameters
    ----------
    vertices_nm, faces : ndarray, shape (n, 3), (m, 3)
    colours : ndarray, shape (n, 3)
        Red, green, blue of each vertex, 0 to 1.
    camera : Camera
    background : (float, float, float)

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
        0 to 1.
    """
    normals = vertex_normals(vertices_nm, faces)
    item = Surface(vertices_nm, faces, colours, normals)
    return compose([item], None, camera, background=background).image


def _draw(layer: Layer, camera: Camera, item: Surface) -> None:
    draw_triangles(
        layer, camera, item.vertices_nm, item.faces, item.colours, item.normals, item.nearest_nm
    )


def _range(layers: Sequence[Layer]) -> Range:
    """Farthest and nearest depth of everything drawn."""
    far, near = np.inf, -np.inf
    for layer in layers:
        drawn = layer.depth[layer.drawn]
        if drawn.size:
            far, near = min(far, float(drawn.min())), max(near, float(drawn.max()))
    return (far, near) if near >= far else (0.0, 1.0)


def _lay_over(
    image: Float32Array, solid: Layer, layer: Layer, opacity: float, span: Range, factor: int
) -> None:
    """Blend the front of a translucent surface over the picture, denser towards its rim."""
    seen = layer.drawn & (layer.depth > solid.depth)
    if not seen.any():
        return
    lit = shade(layer, span, factor)[seen]
    normal = layer.surface[seen][:, 3:]
    facing = np.abs(normal[:, 2]) / np.maximum(np.linalg.norm(normal, axis=1), 1e-6)
    alpha = (opacity + (1 - opacity) * 0.6 * (1 - facing) ** 2)[:, None]
    image[seen] = alpha * lit + (1 - alpha) * image[seen]
