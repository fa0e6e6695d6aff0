"""From where a picture is taken: parallel projections and their presets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError

__all__ = ["CAMERAS", "Camera", "across", "rotation_of", "turned"]

FloatArray = npt.NDArray[np.float64]

#: Names of views: rows are the directions to the right, up, and towards the viewer.
CAMERAS: dict[str, FloatArray] = {
    "top": np.eye(3),
    "bottom": np.diag([1.0, -1.0, -1.0]),
    "side": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
    "end": np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]),
}
_TILT_DEGREES = 35.0


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

    def finer(self, factor: int) -> Camera:
        """Give the same view with `factor` times as many pixels along each side."""
        return replace(
            self,
            nm_per_pixel=self.nm_per_pixel / factor,
            width=self.width * factor,
            height=self.height * factor,
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

    @classmethod
    def framing(
        cls,
        xyz_nm: FloatArray,
        rotation: FloatArray,
        width: int,
        height: int | None = None,
        margin: float = 0.06,
    ) -> Camera:
        """A camera that sees points as large as they fit.

        Without `height` the picture is as high as the points ask for, within a third to
        one and a half of the width.

        Examples
        --------
        >>> square = np.array([[0, 0, 0], [1000.0, 500, 0]])
        >>> seen = Camera.framing(square, np.eye(3), 600, margin=0.1)
        >>> seen.width, seen.height, seen.nm_per_pixel, seen.centre_nm.tolist()
        (600, 350, 2.0, [500.0, 250.0, 0.0])
        """
        low, high = np.full(3, np.inf), np.full(3, -np.inf)
        # In parts: ten million points would need a second copy of themselves otherwise
        for start in range(0, len(xyz_nm), 1_000_000):
            seen = xyz_nm[start : start + 1_000_000] @ rotation.T
            low, high = np.minimum(low, seen.min(axis=0)), np.maximum(high, seen.max(axis=0))
        span = np.maximum(high - low, 1.0)[:2]
        whole = span + 2 * margin * span.max()
        if height is None:
            height = int(np.clip(np.ceil(width * whole[1] / whole[0]), width / 3, 1.5 * width))
        scale = float(max(whole[0] / width, whole[1] / height))
        return cls(rotation, (low + high) / 2 @ rotation, scale, width, height)


def rotation_of(view: str | tuple[float, float], xyz_nm: FloatArray) -> FloatArray:
    """Rotation of a named view, or of an azimuth and an elevation in degrees.

    Parameters
    ----------
    view : str or (float, float)
        "top" (x to the right, y up), "bottom", "side" (z up), "end" (along x); "across" is from
        above with the long side of the sample lying across the page, "tilted" the same seen from
        35 degrees above the horizon; or azimuth and elevation in degrees ((0, 90) is "top",
        (0, 0) is "side").
    xyz_nm : ndarray, shape (n, 3)
        The sample, for the views that lie along it.

    Raises
    ------
    ConfigError
        When there is no view of this name.

    Examples
    --------
    >>> rotation_of((0, 0), np.zeros((1, 3))).round().tolist() == CAMERAS["side"].tolist()
    True
    """
    if isinstance(view, str):
        if view in CAMERAS:
            return CAMERAS[view]
        if view == "across":
            return across(xyz_nm)
        if view == "tilted":
            return _elevated(_TILT_DEGREES) @ across(xyz_nm)
        known = ", ".join([*CAMERAS, "across", "tilted"])
        raise ConfigError(
            f"camera: one of {known}, or (azimuth, elevation) in degrees was expected, "
            f"found {view!r}."
        )
    azimuth, elevation = view
    return _elevated(elevation) @ _about_z(np.radians(azimuth))


def across(xyz_nm: FloatArray) -> FloatArray:
    """View from above with the long axis of the sample across the page.

    Examples
    --------
    >>> line = np.array([[0.0, 0, 0], [0, 500, 0], [0, 1000, 0]])
    >>> across(line).round().tolist()
    [[0.0, 1.0, 0.0], [-1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    plane = xyz_nm[:: max(len(xyz_nm) // 100_000, 1), :2]
    if len(plane) < 2:
        return np.eye(3)
    _, axes = np.linalg.eigh(np.cov(plane.T))
    x, y = axes[:, -1]
    # Of the two ways along the axis the one nearer to x, or to y where it is upright
    if x < -1e-9 or (abs(x) <= 1e-9 and y < 0):
        x, y = -x, -y
    return np.array([[x, y, 0.0], [-y, x, 0.0], [0.0, 0.0, 1.0]])


def turned(rotation: FloatArray, degrees: float) -> FloatArray:
    """Turn the sample about the upright axis of the picture: a frame of a turntable."""
    angle = np.radians(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.asarray(np.array([[c, 0.0, s], [0.0, 1.0, 0.0], [-s, 0.0, c]]) @ rotation)


def _elevated(degrees: float) -> FloatArray:
    """From "top" to a view from `degrees` above the horizon."""
    angle = np.radians(degrees)
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, s, c], [0.0, -c, s]])


def _about_z(angle: float) -> FloatArray:
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
