"""Draw a dendrite mesh in grey and turn points picked in a view into surface points.

    python pick.py views MESH OUT_DIR [--picks FILE.csv]     views in parts, with a grid in um
    python pick.py list PICKS.txt MESH FILE.csv              picks (view, a, u, ...) to the list
    python pick.py figure MESH FILE.csv FILE.png             one small picture with the numbers

A view looks across the long axis (first principal axis) of the mesh, turned about that axis by
an angle in degrees. `a` runs along the axis (to the right), `u` across it (up), both in um from
the mean of the vertices. Nothing here knows how nanospine finds spines.
"""

from __future__ import annotations

import argparse
import csv
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import numpy.typing as npt
import trimesh
from scipy import ndimage

Array = npt.NDArray[np.float64]
ANGLES = (0, 60, 120, 180, 240, 300)
COLUMNS = [
    "spine",
    "tip_x_um",
    "tip_y_um",
    "tip_z_um",
    "type_by_eye",
    "n_heads",
    "cut",
    "sure",
    "view",
    "comment",
]


@dataclass(frozen=True)
class View:
    """Depth and grey picture of one view; `frame` has the rows a, u, depth (to the eye)."""

    angle: int
    centre_um: Array
    frame: Array
    low_um: Array
    pixel_um: float
    depth_um: Array
    grey: Array

    def project(self, xyz_um: Array) -> Array:
        return np.asarray((np.atleast_2d(xyz_um) - self.centre_um) @ self.frame.T)

    def surface(self, a_um: float, u_um: float) -> Array:
        """Surface point under (a, u); the nearest one when the place itself is empty."""
        hit = np.argwhere(np.isfinite(self.depth_um))
        at = self.low_um + (hit[:, ::-1] + 0.5) * self.pixel_um
        near = np.hypot(*(at - (a_um, u_um)).T)
        best = int(near.argmin())
        if near[best] > 0.08:
            raise SystemExit(f"view {self.angle}: no surface near ({a_um}, {u_um})")
        seen = np.array([*at[best], self.depth_um[tuple(hit[best])]])
        return np.asarray(self.centre_um + seen @ self.frame)


def principal(mesh: trimesh.Trimesh) -> tuple[Array, Array]:
    """Centre and principal axes (rows); the largest entry of each axis is positive."""
    vertices = np.asarray(mesh.vertices, dtype=np.float64)
    centre = vertices.mean(axis=0)
    axes = np.linalg.svd(vertices - centre, full_matrices=False)[2]
    axes *= np.sign(axes[np.arange(3), np.abs(axes).argmax(axis=1)])[:, None]
    axes[2] = np.cross(axes[0], axes[1])
    return centre, axes


def render(mesh: trimesh.Trimesh, angle: int, pixel_um: float) -> View:
    """Z-buffer by dense samples on every triangle: no hole while the samples stay < 1 pixel."""
    centre, axes = principal(mesh)
    turn = np.deg2rad(angle)
    up = np.cos(turn) * axes[1] + np.sin(turn) * axes[2]
    frame = np.stack([axes[0], up, np.cross(axes[0], up)])
    seen = (np.asarray(mesh.vertices) - centre) @ frame.T
    low = seen[:, :2].min(axis=0) - 0.15
    shape = np.ceil((seen[:, :2].max(axis=0) + 0.15 - low) / pixel_um).astype(int)[::-1]
    depth = np.full(shape, -np.inf)
    light = np.zeros(shape)
    normal = np.asarray(mesh.face_normals) @ frame.T
    lamp = np.array([-0.35, 0.55, 0.76])
    shade = 0.25 + 0.75 * np.clip(normal @ lamp, 0.0, 1.0)
    corners = seen[np.asarray(mesh.faces)]
    edge = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    steps = np.maximum(2, 2 ** np.ceil(np.log2(1.5 * edge / pixel_um))).astype(int)
    for n in np.unique(steps):
        which = np.flatnonzero((steps == n) & (normal[:, 2] > -0.2))
        i, j = (k.ravel() for k in np.meshgrid(np.arange(n + 1), np.arange(n + 1)))
        weight = np.stack([i, j, n - i - j], axis=1)[i + j <= n] / n
        for part in np.array_split(which, max(1, len(which) * len(weight) // 3_000_000)):
            points = np.einsum("wk,fkd->fwd", weight, corners[part]).reshape(-1, 3)
            column, row = ((points[:, :2] - low) / pixel_um).astype(int).T
            grey = np.repeat(shade[part], len(weight))
            order = np.argsort(points[:, 2])
            row, column, z, grey = row[order], column[order], points[order, 2], grey[order]
            flat = row * shape[1] + column
            last = len(flat) - 1 - np.unique(flat[::-1], return_index=True)[1]
            closer = last[z[last] > depth.ravel()[flat[last]]]
            depth.ravel()[flat[closer]] = z[closer]
            light.ravel()[flat[closer]] = grey[closer]
    full = np.isfinite(depth)
    bottom, top = depth[full].min(), depth[full].max()
    cue = 0.45 + 0.55 * (np.where(full, depth, bottom) - bottom) / (top - bottom)
    picture = np.where(full, light * cue, 1.0)
    filled = np.where(full, depth, bottom - 1.0)
    behind = ndimage.maximum_filter(filled, 3) - filled > 0.10  # outline of what lies in front
    picture[behind & full] = 0.0
    return View(angle, centre, frame, low, pixel_um, np.where(full, depth, np.nan), picture)


def draw(axis: plt.Axes, view: View, picks: list[dict[str, str]], size: float = 9.0) -> None:
    rows, columns = view.grey.shape
    a, u = view.low_um
    extent = (a, a + columns * view.pixel_um, u, u + rows * view.pixel_um)
    axis.imshow(view.grey, cmap="gray", vmin=0, vmax=1, origin="lower", extent=extent)
    for pick in picks:
        xyz = np.array([float(pick[f"tip_{k}_um"]) for k in "xyz"])
        place = view.project(xyz)[0]
        row, column = ((place[1] - u) / view.pixel_um, (place[0] - a) / view.pixel_um)
        depth = view.depth_um[min(int(row), rows - 1), min(int(column), columns - 1)]
        hidden = np.isfinite(depth) and depth - place[2] > 0.06
        colour = "tab:blue" if hidden else "red" if pick["sure"] == "1" else "darkorange"
        axis.plot(*place[:2], "o", ms=size / 2, mfc="none", mec=colour, mew=1)
        axis.annotate(
            pick["spine"],
            place[:2],
            (3, 3),
            textcoords="offset points",
            color=colour,
            fontsize=size,
            fontweight="normal" if hidden else "bold",
        )


def read_list(path: Path | None) -> list[dict[str, str]]:
    if path is None:
        return []
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def views(mesh_path: Path, folder: Path, picks: Path | None, part_um: float) -> None:
    """One picture per view and per part of the length (parts overlap by 0.5 um)."""
    mesh = trimesh.load(mesh_path, process=False)
    for angle in ANGLES:
        view = render(mesh, angle, part_um / 700)
        high = view.low_um + np.array(view.grey.shape[::-1]) * view.pixel_um
        n = max(1, round((high[0] - view.low_um[0]) / part_um))
        starts = np.linspace(view.low_um[0], high[0], n + 1)
        for k in range(n):
            box = (starts[k] - 0.25, starts[k + 1] + 0.25)
            tall = high[1] - view.low_um[1]
            scale = min(14.0 / (box[1] - box[0]), 12.0 / tall)
            figure = plt.figure(figsize=(scale * (box[1] - box[0]) + 0.6, scale * tall + 0.5))
            axis = figure.add_axes((0.04, 0.04, 0.95, 0.92))
            draw(axis, view, read_list(picks))
            axis.set(xlim=box, ylim=(view.low_um[1], high[1]))
            axis.set_xticks(np.arange(np.ceil(box[0] * 2) / 2, box[1], 0.5))
            axis.set_yticks(np.arange(np.ceil(view.low_um[1] * 2) / 2, high[1], 0.5))
            axis.grid(alpha=0.35, lw=0.5)
            axis.set_title(f"{mesh_path.stem}  view {angle}  part {k + 1}/{n}", fontsize=9)
            figure.savefig(folder / f"{mesh_path.stem}_{angle:03d}_{k}.png", dpi=100)
            plt.close(figure)


def make_list(picks: Path, mesh_path: Path, out: Path, pixel_um: float) -> None:
    """Lines `angle a u type n_heads cut sure [comment]`; prints pairs that lie close together."""
    mesh = trimesh.load(mesh_path, process=False)
    cache: dict[int, View] = {}
    rows: list[list[str]] = []
    tips: list[Array] = []
    for line in picks.read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        angle, a, u, kind, heads, cut, sure, *comment = line.split(maxsplit=7)
        if int(angle) not in cache:
            cache[int(angle)] = render(mesh, int(angle), pixel_um)
        tip = cache[int(angle)].surface(float(a), float(u))
        tips.append(tip)
        place = [f"{value:.3f}" for value in tip]
        where = f"{angle}@{a}/{u}"
        rows.append([str(len(tips)), *place, kind, heads, cut, sure, where, *(comment or [""])])
    with out.open("w", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)
    points = np.array(tips)
    gap = np.linalg.norm(points[:, None] - points[None], axis=2)
    for i, j in np.argwhere(np.triu(gap < 0.6, 1)):
        print(f"picks {i + 1} and {j + 1} are {gap[i, j]:.2f} um apart: the same spine?")


def figure(mesh_path: Path, picks: Path, out: Path) -> None:
    mesh = trimesh.load(mesh_path, process=False)
    shown = [render(mesh, angle, 0.015) for angle in (0, 120, 240)]
    tall = [v.grey.shape[0] for v in shown]
    width = shown[0].grey.shape[1]
    paper, axes = plt.subplots(
        3, 1, figsize=(7.0, 7.0 * sum(tall) / width + 0.6), height_ratios=tall
    )
    for axis, view in zip(axes, shown, strict=True):
        draw(axis, view, read_list(picks), size=7.0)
        axis.set_axis_off()
        axis.set_title(f"{mesh_path.stem}, view {view.angle}° (blue: behind)", fontsize=7)
    paper.tight_layout()
    for dpi in (90, 75, 60, 50):
        paper.savefig(out, dpi=dpi)
        if out.stat().st_size < 150_000:
            break
    plt.close(paper)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("views", "list", "figure"))
    parser.add_argument("paths", nargs="+", type=Path)
    parser.add_argument("--picks", type=Path)
    parser.add_argument("--part-um", type=float, default=4.5)
    given = parser.parse_args()
    if given.what == "views":
        given.paths[1].mkdir(parents=True, exist_ok=True)
        views(given.paths[0], given.paths[1], given.picks, given.part_um)
    elif given.what == "list":
        make_list(given.paths[0], given.paths[1], given.paths[2], given.part_um / 700)
    else:
        figure(given.paths[0], given.paths[1], given.paths[2])


if __name__ == "__main__":
    main()
