"""What is nearest in every pixel: triangles and balls drawn into a depth buffer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.core.colours import BACKGROUND_COLOUR, rgb
from nanospine.output.raster_camera import Camera

__all__ = ["Layer", "draw_points", "draw_triangles", "empty_layer", "vertex_normals"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]

_AT_ONCE = 500_000


# In place of a normal's z: the back of a surface, where something before it was cut off
_INSIDE = -2.0


@dataclass(frozen=True, eq=False)
class Layer:
    """The nearest thing in every pixel.

    Attributes
    ----------
    depth : ndarray of float32, shape (height, width)
        Nearness in nm, -inf where nothing was drawn.
    surface : ndarray of float32, shape (height, width, 6)
        Red, green, blue (0 to 1), and the normal as the camera sees it.
    nm_per_pixel : float
    """

    depth: Float32Array
    surface: Float32Array
    nm_per_pixel: float

    @property
    def drawn(self) -> npt.NDArray[np.bool_]:
        """Where there is anything."""
        return np.asarray(self.depth > -np.inf)


def empty_layer(camera: Camera) -> Layer:
    """Give a layer of the camera's size with nothing in it."""
    size = (camera.height, camera.width)
    return Layer(
        np.full(size, -np.inf, dtype=np.float32),
        np.zeros((*size, 6), dtype=np.float32),
        camera.nm_per_pixel,
    )


def draw_triangles(
    layer: Layer,
    camera: Camera,
    vertices_nm: FloatArray,
    faces: IntArray,
    colours: FloatArray,
    normals: FloatArray,
    nearest_nm: float = np.inf,
) -> None:
    """Draw triangles into a layer; colours (n, 3) and normals (n, 3) are those of the vertices.

    What is nearer than `nearest_nm` is cut off. Where a closed surface, whose triangles turn
    counterclockwise outside, shows its inside then, it is drawn as a plane section.
    """
    if len(faces) == 0:
        return
    seen = normals @ camera.rotation.T
    attributes = np.ascontiguousarray(np.column_stack([colours, seen]), dtype=np.float32)
    _fill_triangles(
        np.ascontiguousarray(camera.project(vertices_nm)),
        np.ascontiguousarray(faces, dtype=np.int64),
        attributes,
        layer.depth,
        layer.surface,
        nearest_nm,
    )
    if np.isfinite(nearest_nm):
        inside = layer.surface[..., 5] == _INSIDE
        layer.depth[inside] = nearest_nm
        layer.surface[inside, :3] = rgb(BACKGROUND_COLOUR)
        layer.surface[inside, 3:] = (0.0, 0.0, 1.0)


def draw_points(
    layer: Layer,
    camera: Camera,
    xyz_nm: FloatArray,
    shade: npt.NDArray[np.uint8],
    table: Float32Array,
    radius_nm: float,
) -> None:
    """Draw points as small lit balls into a layer.

    Points are projected half a million at a time, so that ten million need no second copy.

    Parameters
    ----------
    layer, camera
        Of the same size.
    xyz_nm : ndarray, shape (n, 3)
    shade : ndarray of uint8, shape (n,)
        Row of `table` with the colour of each point.
    table : ndarray of float32, shape (k, 3)
        Red, green, blue, 0 to 1.
    radius_nm : float
        Of the balls; at least half a pixel is drawn.
    """
    radius = max(radius_nm / camera.nm_per_pixel, 0.5)
    for start in range(0, len(xyz_nm), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        _fill_balls(
            np.ascontiguousarray(camera.project(xyz_nm[part])),
            np.ascontiguousarray(shade[part]),
            np.ascontiguousarray(table, dtype=np.float32),
            radius,
            camera.nm_per_pixel,
            layer.depth,
            layer.surface,
        )


def vertex_normals(vertices_nm: FloatArray, faces: IntArray) -> FloatArray:
    """Normals averaged over faces by their area, then once over neighbours: calmer shading.

    Examples
    --------
    >>> flat = np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]])
    >>> vertex_normals(flat, np.array([[0, 1, 2]])).tolist()
    [[0.0, 0.0, 1.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]
    """
    return np.asarray(
        _vertex_normals(
            np.ascontiguousarray(vertices_nm, dtype=np.float64),
            np.ascontiguousarray(faces, dtype=np.int64),
        )
    )


@njit(cache=True)
def _vertex_normals(vertices: FloatArray, faces: IntArray) -> FloatArray:  # pragma: no cover
    normal = np.zeros_like(vertices)
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ux = vertices[j, 0] - vertices[i, 0]
        uy = vertices[j, 1] - vertices[i, 1]
        uz = vertices[j, 2] - vertices[i, 2]
        vx = vertices[k, 0] - vertices[i, 0]
        vy = vertices[k, 1] - vertices[i, 1]
        vz = vertices[k, 2] - vertices[i, 2]
        cx, cy, cz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for v in (i, j, k):
            normal[v, 0] += cx
            normal[v, 1] += cy
            normal[v, 2] += cz
    _to_unit(normal)
    spread = normal.copy()
    for f in range(faces.shape[0]):
        for a in range(3):
            i, j = faces[f, a], faces[f, (a + 1) % 3]
            for b in range(3):
                spread[i, b] += normal[j, b]
    _to_unit(spread)
    return spread


@njit(cache=True)
def _to_unit(vectors: FloatArray) -> None:  # pragma: no cover - compiled
    for v in range(vectors.shape[0]):
        length = np.sqrt(vectors[v, 0] ** 2 + vectors[v, 1] ** 2 + vectors[v, 2] ** 2)
        if length > 1e-12:
            for b in range(3):
                vectors[v, b] /= length


@njit(cache=True)
def _fill_triangles(  # pragma: no cover - compiled
    projected: FloatArray,
    faces: IntArray,
    attributes: Float32Array,
    depth: Float32Array,
    surface: Float32Array,
    nearest: float,
) -> None:
    height, width = depth.shape
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay = projected[i, 0], projected[i, 1]
        bx, by = projected[j, 0], projected[j, 1]
        cx, cy = projected[k, 0], projected[k, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            continue
        x0 = max(0, int(np.floor(min(ax, min(bx, cx)) - 0.5)))
        x1 = min(width - 1, int(np.ceil(max(ax, max(bx, cx)) - 0.5)))
        y0 = max(0, int(np.floor(min(ay, min(by, cy)) - 0.5)))
        y1 = min(height - 1, int(np.ceil(max(ay, max(by, cy)) - 0.5)))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5, y + 0.5
                v = ((px - ax) * (cy - ay) - (cx - ax) * (py - ay)) / area
                w = ((bx - ax) * (py - ay) - (px - ax) * (by - ay)) / area
                u = 1.0 - v - w
                if u < 0.0 or v < 0.0 or w < 0.0:
                    continue
                z = u * projected[i, 2] + v * projected[j, 2] + w * projected[k, 2]
                if z <= depth[y, x] or z > nearest:
                    continue
                depth[y, x] = z
                if nearest < np.inf and area > 0.0:  # rows run downward: seen from behind
                    surface[y, x, 5] = _INSIDE
                    continue
                for a in range(6):
                    surface[y, x, a] = (
                        u * attributes[i, a] + v * attributes[j, a] + w * attributes[k, a]
                    )


@njit(cache=True)
def _fill_balls(  # pragma: no cover - compiled
    projected: FloatArray,
    shade: npt.NDArray[np.uint8],
    table: Float32Array,
    radius: float,
    nm_per_pixel: float,
    depth: Float32Array,
    surface: Float32Array,
) -> None:
    height, width = depth.shape
    square = radius * radius
    for p in range(projected.shape[0]):
        cx, cy, cz = projected[p, 0], projected[p, 1], projected[p, 2]
        x0, x1 = max(0, int(np.floor(cx - radius))), min(width - 1, int(np.floor(cx + radius)))
        y0, y1 = max(0, int(np.floor(cy - radius))), min(height - 1, int(np.floor(cy + radius)))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                dx, dy = x + 0.5 - cx, y + 0.5 - cy
                rest = square - dx * dx - dy * dy
                if rest < 0.0:
                    if x != int(np.floor(cx)) or y != int(np.floor(cy)):
                        continue
                    rest = 0.0  # the pixel it lies in is filled by the smallest ball too
                up = np.sqrt(rest)
                z = cz + up * nm_per_pixel
                if z <= depth[y, x]:
                    continue
                depth[y, x] = z
                for a in range(3):
                    surface[y, x, a] = table[shade[p], a]
                surface[y, x, 3] = dx / radius
                surface[y, x, 4] = -dy / radius
                surface[y, x, 5] = up / radius
