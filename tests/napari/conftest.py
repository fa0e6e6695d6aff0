"""The real napari without a screen."""

from __future__ import annotations

import gc
import os
import time

import pytest

import nanospine as ns

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")


@pytest.fixture(scope="session")
def locs():
    shape = ns.simulate.dendrite(2500, ["mushroom", "thin"], seed=3, voxel_nm=35)
    return ns.simulate.localize(shape, density_per_um2=250, seed=2)


@pytest.fixture(scope="session")
def found(locs):
    return ns.find_spines(ns.envelope(locs), locs)


@pytest.fixture(scope="session")
def window():
    # napari's imports warn of what its libraries deprecate: that is theirs to mend
    napari = pytest.importorskip("napari", reason="napari is not installed")
    pytest.importorskip("qtpy.QtWidgets", reason="napari has no window library")
    viewer = napari.Viewer(show=False)
    # napari collects garbage whenever layers go; half a second each time, among a million objects
    # of imported modules that stay anyway
    gc.collect()
    gc.freeze()
    yield viewer
    gc.unfreeze()
    viewer.close()


@pytest.fixture
def viewer(window):
    """One window for all tests: it takes half a second to make; each test finds it empty."""
    if len(window.layers):
        window.layers.clear()
    window.dims.ndisplay = 2
    yield window
    window.window.remove_dock_widget("all")
    window.layers.clear()


@pytest.fixture
def wait():
    """Let the window work until something is true."""

    def until(condition, seconds=15.0):
        from qtpy.QtWidgets import QApplication

        end = time.monotonic() + seconds
        while not condition():
            QApplication.processEvents()
            time.sleep(0.01)
            assert time.monotonic() < end, "it took too long"

    return until
