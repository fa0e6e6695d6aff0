"""Density, Poisson and ball pivoting: closed, as large as what was planted, and clear refusals."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh

import nanospine as ns
from nanospine.core.errors import ConfigError, GeometryError
from nanospine.surface.density import density_surface
from nanospine.surface.envelope import envelope
from nanospine.surface.open3d_surfaces import _filled

OPEN3D = ("poisson", "ball-pivoting")


@pytest.fixture(scope="module")
def spine() -> tuple[Any, ns.Localizations]:
    shape = ns.simulate.spine("mushroom", seed=1)
    return shape, ns.simulate.localize(shape, density_per_um2=600, seed=0)


def check(found: Any, shape: Any, near_nm: float) -> None:
    assert found.mesh.is_volume
    assert found.volume_nm3 == pytest.approx(shape.mesh.volume, rel=0.04)
    points = trimesh.sample.sample_surface(found.mesh, 2000, seed=0)[0]
    assert np.abs(shape.signed_distance_nm(points)).mean() < near_nm


def test_density_of_a_membrane(spine: tuple[Any, ns.Localizations]) -> None:
    shape, locs = spine
    found = envelope(locs, method="density")
    check(found, shape, 11)
    assert found.method == "density"
    assert any(note.startswith("density: kernel") for note in found.notes)


def test_density_of_a_filled_label() -> None:
    shape = ns.simulate.spine("mushroom", seed=1)
    locs = ns.simulate.localize(shape, label="filled", density_per_um3=15_000, seed=0)
    check(envelope(locs, label="filled", method="density"), shape, 12)


@pytest.mark.parametrize("method", OPEN3D)
def test_through_open3d(method: Any, spine: tuple[Any, ns.Localizations]) -> None:
    pytest.importorskip("open3d", reason="Open3D cannot be loaded", exc_type=ImportError)
    shape, locs = spine
    found = envelope(locs, method=method)
    check(found, shape, 7)
    again = envelope(locs, method=method)
    np.testing.assert_array_equal(found.mesh.vertices, again.mesh.vertices)


@pytest.mark.parametrize("method", OPEN3D)
def test_without_open3d(
    method: Any, spine: tuple[Any, ns.Localizations], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open3d", None)
    with pytest.raises(ConfigError, match=r"needs Open3D, .* pip install 'nanospine\[open3d\]'"):
        envelope(spine[1], method=method)


def test_with_an_open3d_that_cannot_be_loaded(
    spine: tuple[Any, ns.Localizations], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "open3d.py").write_text("raise ImportError('libusb-1.0.so.0: cannot open')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "open3d", raising=False)
    with pytest.raises(ConfigError, match=r"cannot be loaded \(libusb-1.0.so.0"):
        envelope(spine[1], method="poisson")


@pytest.mark.parametrize("method", OPEN3D)
def test_filled_labels_have_no_points_on_the_surface(
    method: Any, spine: tuple[Any, ns.Localizations]
) -> None:
    with pytest.raises(GeometryError, match="lie inside of a 'filled' label"):
        envelope(spine[1], label="filled", method=method)


def test_a_grid_that_is_too_large(spine: tuple[Any, ns.Localizations]) -> None:
    with pytest.raises(GeometryError, match="do not fit in memory; give a larger alpha_nm"):
        density_surface(spine[1].xyz_nm, kernel_nm=0.5, label="membrane")


def test_sphere_of_either_label() -> None:
    rng = np.random.default_rng(0)
    ball = rng.normal(size=(40_000, 3))
    ball *= 300 / np.linalg.norm(ball, axis=1, keepdims=True)
    for label, radii in (("membrane", 1.0), ("filled", rng.random((40_000, 1)) ** (1 / 3))):
        vertices, faces, _ = density_surface(ball * radii, kernel_nm=25.0, label=label)  # type: ignore[arg-type]
        mesh = trimesh.Trimesh(vertices, faces, process=False)
        body = max(mesh.split(), key=lambda item: item.volume)
        assert body.volume == pytest.approx(4 / 3 * np.pi * 300**3, rel=0.04)


def test_holes_are_filled_with_fans() -> None:
    ball = trimesh.creation.icosphere(3)
    rng = np.random.default_rng(0)
    for _ in range(5):
        faces = ball.faces[rng.random(len(ball.faces)) > 0.05]
        vertices, closed, holes = _filled(
            np.asarray(ball.vertices, dtype=np.float64), np.asarray(faces, dtype=np.int64)
        )
        assert holes > 10
        mesh = trimesh.Trimesh(vertices, closed, process=False)
        assert mesh.is_watertight
        assert mesh.is_winding_consistent
        assert mesh.volume == pytest.approx(ball.volume, rel=0.03)
