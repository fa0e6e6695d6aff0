"""Share of a circle or sphere about a point that lies in a window, exact for flat boundaries."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numba import njit

from nanospine.statistics.boundaries import Pieces

__all__ = ["circle_share", "near_pieces", "sphere_share"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

# Angles are counted from a direction that no ordinary drawing has.
_COS, _SIN = np.cos(0.7390851332151607), np.sin(0.7390851332151607)


@njit(cache=True, nogil=True, error_model="numpy")
def near_pieces(
    pieces: Pieces, x: float, y: float, z: float, radius: float, among: IntArray, count: int,
    found: IntArray,
) -> int:  # fmt: skip
    """Write which of `among[:count]` may come nearer than `radius`; give their number."""
    n = 0
    for k in range(count):
        face = among[k]
        dx = pieces.centre[face, 0] - x
        dy = pieces.centre[face, 1] - y
        dz = pieces.centre[face, 2] - z
        limit = radius + pieces.reach[face]
        if dx * dx + dy * dy + dz * dz <= limit * limit:
            found[n] = face
            n += 1
    return n


@njit(cache=True, nogil=True, error_model="numpy")
def _turn(x: float, y: float) -> float:
    angle = np.arctan2(y * _COS - x * _SIN, x * _COS + y * _SIN)
    return angle if angle >= 0.0 else angle + 2.0 * np.pi


@njit(cache=True, nogil=True, error_model="numpy")
def circle_share(
    pieces: Pieces, near: IntArray, count: int, x: float, y: float, radius: float
) -> float:
    """Give the share of the circle of `radius` about (x, y) that lies inside.

    Where an edge leaves the disc the circle, followed counter-clockwise, enters the window, and
    the other way round. The angles of leaving minus those of entering are the share, up to a
    whole turn; without a crossing the circle lies inside as a whole.
    """
    square = radius * radius
    angle = 0.0
    crossings = 0
    for k in range(count):
        edge = near[k]
        px, py = pieces.begin[edge, 0] - x, pieces.begin[edge, 1] - y
        qx, qy = pieces.end[edge, 0] - x, pieces.end[edge, 1] - y
        inside_p = px * px + py * py < square
        inside_q = qx * qx + qy * qy < square
        if inside_p and inside_q:
            continue
        ex, ey = qx - px, qy - py
        length2 = ex * ex + ey * ey
        cross = px * ey - py * ex
        root2 = square * length2 - cross * cross
        middle = -(px * ex + py * ey)
        if inside_p == inside_q and (root2 <= 0.0 or middle <= 0.0 or middle >= length2):
            continue
        root = np.sqrt(max(root2, 0.0))
        if not inside_p:
            t = (middle - root) / length2
            angle += _turn(px + t * ex, py + t * ey)
            crossings += 1
        if not inside_q:
            t = (middle + root) / length2
            angle -= _turn(px + t * ex, py + t * ey)
            crossings += 1
    if crossings == 0:
        return 1.0
    share = angle / (2.0 * np.pi)
    return share if share > 0.0 else share + 1.0


@njit(cache=True, nogil=True, error_model="numpy")
def sphere_share(
    pieces: Pieces, near: IntArray, count: int, x: float, y: float, z: float, radius: float
) -> float:
    """Give the share of the sphere of `radius` about a point of the window that lies inside.

    The part of the sphere inside and the part of the boundary within the ball close up around
    the point, so together they fill the whole solid angle: the share is
    `1 - sum of the solid angles of (face and ball) / 4 pi`. Each is a sum over the edges of the
    face as the foot of the point sees them, with arcs where an edge leaves the ball.
    """
    total = 0.0
    for k in range(count):
        face = near[k]
        nx, ny, nz = pieces.normal[face, 0], pieces.normal[face, 1], pieces.normal[face, 2]
        first, last = pieces.first[face], pieces.first[face + 1]
        px, py, pz = (
            pieces.begin[first, 0] - x,
            pieces.begin[first, 1] - y,
            pieces.begin[first, 2] - z,
        )
        height = nx * px + ny * py + nz * pz
        if abs(height) >= radius:
            continue
        part = 0.0
        for edge in range(first, last):
            px, py, pz = (
                pieces.begin[edge, 0] - x,
                pieces.begin[edge, 1] - y,
                pieces.begin[edge, 2] - z,
            )
            qx, qy, qz = pieces.end[edge, 0] - x, pieces.end[edge, 1] - y, pieces.end[edge, 2] - z
            ex, ey, ez = qx - px, qy - py, qz - pz
            length = np.sqrt(ex * ex + ey * ey + ez * ez)
            # n . (P x Q): P and Q from the point do as well as from its foot.
            turned = (
                nx * (py * qz - pz * qy) + ny * (pz * qx - px * qz) + nz * (px * qy - py * qx)
            ) / length
            if turned == 0.0:
                continue
            tp = (px * ex + py * ey + pz * ez) / length
            angle = _seen(tp + length, abs(turned), abs(height), radius) - _seen(
                tp, abs(turned), abs(height), radius
            )
            part += angle if turned > 0.0 else -angle
        # A point on a face sees half the sphere behind it.
        total += part if height >= -1e-12 * radius else -part
    return 1.0 - total / (4.0 * np.pi)


@njit(cache=True, nogil=True, error_model="numpy")
def _seen(t: float, line: float, height: float, radius: float) -> float:
    """Solid angle from the foot of the perpendicular to place t on a line, within the ball.

    The line lies `line` from the foot of the point in a plane `height` from the point.
    """
    arc = 1.0 - height / radius
    along2 = radius * radius - height * height - line * line
    if along2 <= 0.0:
        return np.arctan2(t, line) * arc
    far = abs(t)
    end = min(far, np.sqrt(along2))
    angle = np.arctan2(end, line)
    value = angle - np.arcsin(
        min(
            height * end / np.sqrt((end * end + line * line) * (height * height + line * line)), 1.0
        )
    )
    if far > end:
        value += (np.arctan2(far, line) - angle) * arc
    return value if t >= 0.0 else -value
