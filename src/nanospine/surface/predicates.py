"""On which side of a plane, inside which sphere: signs that are always right.

Strategy: the determinant in floating point with a bound on its rounding error decides nearly
always. Where it does not, the same determinant with twice the digits does, unless points are
exactly cospherical or coplanar (or closer to it than 1e-30); then exact arithmetic decides. Points
that are exactly cospherical are told apart by a symbolic perturbation of the sphere that depends
on the coordinates only, so that every order of insertion, and every tile, gives one triangulation.

Sources: Shewchuk 1997 (bounds); O. Devillers, M. Teillaud, Perturbations for Delaunay and weighted
Delaunay 3D triangulations, Computational Geometry 44 (2011) 160-168.
"""

from __future__ import annotations

# mypy: disable-error-code="no-untyped-def,misc"
import numpy as np
from numba import njit

from nanospine.core.lean import keeping, lean
from nanospine.surface.expansions import (
    difference,
    multiply,
    sign,
    subtract,
    total,
    two_product,
    two_sum,
)

__all__ = ["insphere", "orient3d"]

_EPS = 2.0**-53
# Shewchuk's (7 + 56 eps) eps times the sum of 6 products of largest differences.
_ORIENT_BOUND = 42.5 * _EPS
# (16 + 224 eps) eps times 24 products of three largest differences and a lift.
_SPHERE_BOUND = 385.0 * _EPS
# Each operation on pairs of numbers is right to 2**-100 or better, and a term passes at most 40.
_PAIR_BOUND = 2.0**-94


@lean
def orient3d(p, a, b, c, d):
    """Tell on which side of the plane (a, b, c) lies d: 1, 0 or -1.

    The sign of det(b - a, c - a, d - a). `p` holds the points, a to d are their rows.
    """
    bx = p[b, 0] - p[a, 0]
    by = p[b, 1] - p[a, 1]
    bz = p[b, 2] - p[a, 2]
    cx = p[c, 0] - p[a, 0]
    cy = p[c, 1] - p[a, 1]
    cz = p[c, 2] - p[a, 2]
    dx = p[d, 0] - p[a, 0]
    dy = p[d, 1] - p[a, 1]
    dz = p[d, 2] - p[a, 2]
    determinant = bx * (cy * dz - cz * dy) + cx * (dy * bz - dz * by) + dx * (by * cz - bz * cy)
    mx = max(abs(bx), max(abs(cx), abs(dx)))
    my = max(abs(by), max(abs(cy), abs(dy)))
    mz = max(abs(bz), max(abs(cz), abs(dz)))
    bound = _ORIENT_BOUND * mx * my * mz
    if determinant > bound:
        return 1
    if determinant < -bound:
        return -1
    return _orient3d_exact(p, a, b, c, d)


@njit(cache=True)
def _differences(p, a, b):
    """Give the three coordinates of a - b as expansions."""
    return (
        difference(p[a, 0], p[b, 0]),
        difference(p[a, 1], p[b, 1]),
        difference(p[a, 2], p[b, 2]),
    )


@keeping
def _orient3d_exact(p, a, b, c, d):
    # A plane on which a coordinate does not change is common on grids.
    for k in range(3):
        if p[a, k] == p[b, k] and p[a, k] == p[c, k] and p[a, k] == p[d, k]:
            return 0
    bx, by, bz = _differences(p, b, a)
    cx, cy, cz = _differences(p, c, a)
    dx, dy, dz = _differences(p, d, a)
    xy = subtract(multiply(bx, cy), multiply(by, cx))
    yz = subtract(multiply(by, cz), multiply(bz, cy))
    zx = subtract(multiply(bz, cx), multiply(bx, cz))
    return sign(total(total(multiply(dx, yz), multiply(dy, zx)), multiply(dz, xy)))


@lean
def insphere(p, a, b, c, d, e):
    """Tell whether e is inside the sphere through a, b, c, d: 1 inside, -1 outside, never 0.

    The tetrahedron must be positive: `orient3d(p, a, b, c, d) == 1`.
    """
    aex = p[a, 0] - p[e, 0]
    bex = p[b, 0] - p[e, 0]
    cex = p[c, 0] - p[e, 0]
    dex = p[d, 0] - p[e, 0]
    aey = p[a, 1] - p[e, 1]
    bey = p[b, 1] - p[e, 1]
    cey = p[c, 1] - p[e, 1]
    dey = p[d, 1] - p[e, 1]
    aez = p[a, 2] - p[e, 2]
    bez = p[b, 2] - p[e, 2]
    cez = p[c, 2] - p[e, 2]
    dez = p[d, 2] - p[e, 2]
    ab = aex * bey - bex * aey
    bc = bex * cey - cex * bey
    cd = cex * dey - dex * cey
    da = dex * aey - aex * dey
    ac = aex * cey - cex * aey
    bd = bex * dey - dex * bey
    abc = aez * bc - bez * ac + cez * ab
    bcd = bez * cd - cez * bd + dez * bc
    cda = cez * da + dez * ac + aez * cd
    dab = dez * ab + aez * bd + bez * da
    a_lift = aex * aex + aey * aey + aez * aez
    b_lift = bex * bex + bey * bey + bez * bez
    c_lift = cex * cex + cey * cey + cez * cez
    d_lift = dex * dex + dey * dey + dez * dez
    # Shewchuk's sign, for tetrahedra that he calls positive, turned round.
    determinant = (c_lift * dab - d_lift * abc) + (a_lift * bcd - b_lift * cda)
    mx = max(max(abs(aex), abs(bex)), max(abs(cex), abs(dex)))
    my = max(max(abs(aey), abs(bey)), max(abs(cey), abs(dey)))
    mz = max(max(abs(aez), abs(bez)), max(abs(cez), abs(dez)))
    bound = _SPHERE_BOUND * mx * my * mz * max(max(a_lift, b_lift), max(c_lift, d_lift))
    if determinant > bound:
        return 1
    if determinant < -bound:
        return -1
    return _insphere_careful(p, a, b, c, d, e)


@keeping
def _insphere_careful(p, a, b, c, d, e):
    result = _insphere_pairs(p, a, b, c, d, e)
    if result == 0 and not _small_whole(p, a, b, c, d, e):
        result = _insphere_exact(p, a, b, c, d, e)
    if result == 0:
        result = _insphere_perturbed(p, a, b, c, d, e)
    return result


@njit(cache=True)
def _small_whole(p, a, b, c, d, e):
    """Tell whether pairs of numbers are exact: whole differences of at most 19 bits.

    The determinant and all that it is made of are whole numbers of at most 102 bits then.
    """
    for k in range(3):
        origin = p[e, k]
        for vertex in (a, b, c, d):
            step = p[vertex, k] - origin
            if abs(step) > 524288.0 or step != np.rint(step) or origin + step != p[vertex, k]:
                return False
    return True


@njit(cache=True, inline="always")
def _quick(a, b):
    s = a + b
    return s, b - (s - a)


@njit(cache=True)
def _pair_add(x, y):
    s, e = two_sum(x[0], y[0])
    t, f = two_sum(x[1], y[1])
    s, e = _quick(s, e + t)
    return _quick(s, e + f)


@njit(cache=True)
def _pair_times(x, y):
    p, e = two_product(x[0], y[0])
    return _quick(p, e + (x[0] * y[1] + x[1] * y[0]))


@njit(cache=True)
def _pair_minor(x, y, u, v):
    """Give x * y - u * v."""
    second = _pair_times(u, v)
    return _pair_add(_pair_times(x, y), (-second[0], -second[1]))


@njit(cache=True)
def _pair_sum3(x, u, y, v, z, w):
    """Give x * u + y * v + z * w."""
    return _pair_add(_pair_add(_pair_times(x, u), _pair_times(y, v)), _pair_times(z, w))


@njit(cache=True)
def _negative(x):
    return -x[0], -x[1]


@njit(cache=True)
def _pair_difference(p, a, e):
    return (
        two_sum(p[a, 0], -p[e, 0]),
        two_sum(p[a, 1], -p[e, 1]),
        two_sum(p[a, 2], -p[e, 2]),
    )


@njit(cache=True)
def _insphere_pairs(p, a, b, c, d, e):
    """Decide with twice the digits; 0 where even those do not decide."""
    ax, ay, az = _pair_difference(p, a, e)
    bx, by, bz = _pair_difference(p, b, e)
    cx, cy, cz = _pair_difference(p, c, e)
    dx, dy, dz = _pair_difference(p, d, e)
    ab = _pair_minor(ax, by, bx, ay)
    bc = _pair_minor(bx, cy, cx, by)
    cd = _pair_minor(cx, dy, dx, cy)
    da = _pair_minor(dx, ay, ax, dy)
    ac = _pair_minor(ax, cy, cx, ay)
    bd = _pair_minor(bx, dy, dx, by)
    abc = _pair_sum3(az, bc, _negative(bz), ac, cz, ab)
    bcd = _pair_sum3(bz, cd, _negative(cz), bd, dz, bc)
    cda = _pair_sum3(cz, da, dz, ac, az, cd)
    dab = _pair_sum3(dz, ab, az, bd, bz, da)
    lift_a = _pair_sum3(ax, ax, ay, ay, az, az)
    lift_b = _pair_sum3(bx, bx, by, by, bz, bz)
    lift_c = _pair_sum3(cx, cx, cy, cy, cz, cz)
    lift_d = _pair_sum3(dx, dx, dy, dy, dz, dz)
    first = _pair_minor(lift_c, dab, lift_d, abc)
    determinant = _pair_add(first, _pair_minor(lift_a, bcd, lift_b, cda))[0]
    mx = max(max(abs(ax[0]), abs(bx[0])), max(abs(cx[0]), abs(dx[0])))
    my = max(max(abs(ay[0]), abs(by[0])), max(abs(cy[0]), abs(dy[0])))
    mz = max(max(abs(az[0]), abs(bz[0])), max(abs(cz[0]), abs(dz[0])))
    lift = max(max(lift_a[0], lift_b[0]), max(lift_c[0], lift_d[0]))
    bound = 24.0 * _PAIR_BOUND * mx * my * mz * lift
    if determinant > bound:
        return 1
    if determinant < -bound:
        return -1
    return 0


@njit(cache=True)
def _lift(x, y, z):
    return total(total(multiply(x, x), multiply(y, y)), multiply(z, z))


@njit(cache=True)
def _volume(ax, ay, az, bx, by, bz, cx, cy, cz):
    """Give det(a, b, c)."""
    first = multiply(az, subtract(multiply(bx, cy), multiply(by, cx)))
    second = multiply(bz, subtract(multiply(cx, ay), multiply(cy, ax)))
    third = multiply(cz, subtract(multiply(ax, by), multiply(ay, bx)))
    return total(total(first, second), third)


@njit(cache=True)
def _insphere_exact(p, a, b, c, d, e):
    """Decide exactly; 0 for five points on one sphere."""
    ax, ay, az = _differences(p, a, e)
    bx, by, bz = _differences(p, b, e)
    cx, cy, cz = _differences(p, c, e)
    dx, dy, dz = _differences(p, d, e)
    bcd = _volume(bx, by, bz, cx, cy, cz, dx, dy, dz)
    cda = _volume(cx, cy, cz, dx, dy, dz, ax, ay, az)
    dab = _volume(dx, dy, dz, ax, ay, az, bx, by, bz)
    abc = _volume(ax, ay, az, bx, by, bz, cx, cy, cz)
    first = subtract(multiply(_lift(cx, cy, cz), dab), multiply(_lift(dx, dy, dz), abc))
    second = subtract(multiply(_lift(ax, ay, az), bcd), multiply(_lift(bx, by, bz), cda))
    return sign(total(first, second))


@njit(cache=True)
def _is_before(p, a, b):
    for k in range(3):
        if p[a, k] != p[b, k]:
            return p[a, k] < p[b, k]
    return False


@njit(cache=True)
def _insphere_perturbed(p, a, b, c, d, e):
    """Decide for five points on one sphere: the last in order of x, y, z is lifted the most."""
    place = (a, b, c, d, e)
    rank = [0, 0, 0, 0, 0]
    for i in range(5):
        for j in range(5):
            if _is_before(p, place[j], place[i]):
                rank[i] += 1
    for wanted in (4, 3, 2):
        if rank[4] == wanted:
            return -1
        side = 0
        if rank[3] == wanted:
            side = orient3d(p, a, b, c, e)
        elif rank[2] == wanted:
            side = orient3d(p, a, b, e, d)
        elif rank[1] == wanted:
            side = orient3d(p, a, e, c, d)
        elif rank[0] == wanted:
            side = orient3d(p, e, b, c, d)
        if side != 0:
            return side
    return -1
