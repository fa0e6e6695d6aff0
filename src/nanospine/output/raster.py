"""Shaded pictures of meshes without a screen or a graphics card."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from numba import njit
from scipy import ndimage

__all__ = ["Camera", "draw_mesh"]

FloatArray = npt.NDArray[np.float64]
Float32Array = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Camera:
    """A parallel projection.

    Parameters
    ----------
    rotation : ndarray, shape (3, 3)
        Rows are the directions to the right, up, and towards the viewer.
    centre_nm : ndarray, shape (3,)
        What is seen in the middle of the picture.
    nm_per_pixel : float
    width, height : int
        Of the picture, pixels.
    """

    rotation: FloatArray
    centre_nm: FloatArray
    nm_per_pixel: float
    width: int
    height: int

    def project(self, xyz_nm: FloatArray) -> FloatArray:
        """Pixel column, pixel row (downward) and nearness (nm, larger is nearer), shape (n, 3)."""
        seen = (np.asarray(xyz_nm, dtype=np.float64) - self.centre_nm) @ self.rotation.T
        return np.column_stack(
            [
                self.width / 2 + seen[:, 0] / self.nm_per_pixel,
                self.height / 2 - seen[:, 1] / self.nm_per_pixel,
                seen[:, 2],
            ]
        )

    @classmethod
    def around(
        cls, bounds_nm: FloatArray, rotation: FloatArray, width: int, margin: float = 0.06
    ) -> Camera:
        """A camera that sees a box whole, `width` pixels wide and as high as the box asks for."""
        corners = np.array(np.meshgrid(*np.asarray(bounds_nm).T)).reshape(3, -1).T
        seen = corners @ rotation.T
        low, high = seen.min(axis=0), seen.max(axis=0)
        span = np.maximum(high - low, 1.0)[:2]
        pad = margin * span.max()
        scale = float((span[0] + 2 * pad) / width)
        # A box much higher than wide would make a picture nobody can look at
        scale = max(scale, float((span[1] + 2 * pad) / (1.4 * width)))
        height = max(int(np.ceil((span[1] + 2 * pad) / scale)), 40)
        return cls(rotation, (low + high) / 2 @ rotation, scale, width, height)


def draw_mesh(
    vertices_nm: FloatArray,
    faces: npt.NDArray[np.int64],
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

    Returns
    -------
    ndarray of float32, shape (height, width, 3)
        0 to 1.
    """
    factor = 2  # drawn twice as large and averaged: smooth outlines
    fine = Camera(
        camera.rotation, camera.centre_nm, camera.nm_per_pixel / factor,
        camera.width * factor, camera.height * factor,
    )  # fmt: skip
    normals = _vertex_normals(vertices_nm, faces) @ camera.rotation.T
    depth = np.full((fine.height, fine.width), -np.inf)
    image = np.zeros((fine.height, fine.width, 6), dtype=np.float32)
    attributes = np.ascontiguousarray(np.column_stack([colours, normals]).astype(np.float32))
    _rasterize(
        np.ascontiguousarray(fine.project(vertices_nm)),
        np.ascontiguousarray(faces, dtype=np.int64), attributes, depth, image,
    )  # fmt: skip
    drawn = np.isfinite(depth)
    shaded = _shade(image, depth, drawn, fine.nm_per_pixel)
    result = np.where(drawn[..., None], shaded, np.asarray(background, dtype=np.float32))
    height, width = camera.height, camera.width
    mean = result.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    return np.clip(mean, 0.0, 1.0).astype(np.float32)


def _vertex_normals(vertices: FloatArray, faces: npt.NDArray[np.int64]) -> FloatArray:
    """Normals averaged over faces by their area, then once over neighbours: calmer shading."""
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    cross = np.cross(b - a, c - a)
    normal = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normal, faces[:, i], cross)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    spread = normal.copy()
    for i in range(3):
        np.add.at(spread, faces[:, i], normal[faces[:, (i + 1) % 3]])
    return np.asarray(spread / np.maximum(np.linalg.norm(spread, axis=1, keepdims=True), 1e-12))


def _shade(
    image: Float32Array, depth: FloatArray, drawn: npt.NDArray[np.bool_], nm_per_pixel: float
) -> Float32Array:
    """Light, ambient occlusion from the depth, a dark outline at jumps of depth, and fading."""
    normal = image[..., 3:]
    normal = normal / np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
    light = np.array([-0.45, 0.55, 0.70], dtype=np.float32)
    light /= np.linalg.norm(light)
    diffuse = np.clip(normal @ light, 0.0, 1.0)
    shine = np.clip(normal @ _half_way(light), 0.0, 1.0) ** 30
    if not drawn.any():
        return image[..., :3]
    near, far = float(depth[drawn].max()), float(depth[drawn].min())
    filled = np.where(drawn, depth, far)
    occlusion = np.zeros(depth.shape)
    for reach_nm in (60.0, 250.0):
        around = _blurred(filled, max(reach_nm / nm_per_pixel, 1.0))
        occlusion += np.clip((around - filled) / (2 * reach_nm), 0.0, 0.6)
    jump = ndimage.maximum_filter(filled, 3) - filled
    outline = np.clip(jump / 150.0 - 0.3, 0.0, 1.0) * 0.55
    cue = 0.72 + 0.28 * (filled - far) / max(near - far, 1.0)
    brightness = (0.34 + 0.72 * diffuse) * (1 - 0.7 * occlusion) * cue * (1 - outline)
    lit = image[..., :3] * brightness[..., None] + 0.16 * (shine * cue)[..., None]
    return np.asarray(lit, dtype=np.float32)


def _blurred(values: FloatArray, sigma: float) -> FloatArray:
    """Blur by about a Gaussian of `sigma` pixels.

    Three running means: their cost does not grow with `sigma`, which is hundreds of pixels in a
    picture of something small (a true Gaussian took a minute for a single spine).
    """
    size = max(round(np.sqrt(4 * sigma**2 + 1)), 1)
    for _ in range(3):
        values = ndimage.uniform_filter(values, size)
    return values


def _half_way(light: Float32Array) -> Float32Array:
    half = light + np.array([0.0, 0.0, 1.0], dtype=np.float32)
    return np.asarray(half / np.linalg.norm(half))


@njit(cache=True)
def _rasterize(  # pragma: no cover - compiled
    projected: FloatArray,
    faces: npt.NDArray[np.int64],
    attributes: Float32Array,
    depth: FloatArray,
    image: Float32Array,
) -> None:
    """Fill triangles into a depth buffer with interpolated attributes."""
    height, width = depth.shape
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay = projected[i, 0], projected[i, 1]
        bx, by = projected[j, 0], projected[j, 1]
        cx, cy = projected[k, 0], projected[k, 1]
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if area == 0.0:
            continue
        x0 = max(0, int(np.floor(min(ax, min(bx, cx)))))
        x1 = min(width - 1, int(np.ceil(max(ax, max(bx, cx)))))
        y0 = max(0, int(np.floor(min(ay, min(by, cy)))))
        y1 = min(height - 1, int(np.ceil(max(ay, max(by, cy)))))
        for y in range(y0, y1 + 1):
            for x in range(x0, x1 + 1):
                px, py = x + 0.5, y + 0.5
                v = ((px - ax) * (cy - ay) - (cx - ax) * (py - ay)) / area
                w = ((bx - ax) * (py - ay) - (px - ax) * (by - ay)) / area
                u = 1.0 - v - w
                if u < 0.0 or v < 0.0 or w < 0.0:
                    continue
                z = u * projected[i, 2] + v * projected[j, 2] + w * projected[k, 2]
                if z <= depth[y, x]:
                    continue
                depth[y, x] = z
                for a in range(6):
                    image[y, x, a] = (
                        u * attributes[i, a] + v * attributes[j, a] + w * attributes[k, a]
                    )
