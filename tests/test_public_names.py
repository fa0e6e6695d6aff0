"""Every public name that takes points, on degenerate points: a result or one of our errors.

Never a bare error of numpy, scipy or Python, and never a warning (warnings are errors here). A new
public name fails the first test until it is in `CALLS` or, with a reason, in `EXEMPT`.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

import nanospine as ns

Array = npt.NDArray[Any]
RADII = np.array([20.0, 60.0, 120.0])


def zoo() -> dict[str, Array]:
    random = np.random.default_rng(7)
    cloud = random.uniform(0, 400, (24, 3))
    one_far = cloud.copy()
    one_far[5] = 1e12
    spread = 10.0 ** random.uniform(-3, 9, (24, 3))
    not_a_number, endless = cloud.copy(), cloud.copy()
    not_a_number[3, 1] = np.nan
    endless[4, 2] = np.inf
    return {
        "none": np.zeros((0, 3)),
        "one": cloud[:1],
        "two": cloud[:2],
        "three": cloud[:3],
        "equal": np.full((24, 3), 50.0),
        "on a line": np.outer(np.arange(24.0), [10.0, 5.0, -2.0]),
        "in a plane": cloud * [1.0, 1.0, 0.0],
        "pairs of equal ones": np.repeat(cloud[:12], 2, axis=0),
        "on a grid": np.stack(np.meshgrid(*[[0.0, 50.0, 100.0]] * 3), -1).reshape(-1, 3),
        "nan": not_a_number,
        "inf": endless,
        "a metre away": cloud + 1e9,
        "from a picometre to a metre": spread,
        "one far away": one_far,
        "whole numbers": cloud.astype(np.int64),
        "in two dimensions": cloud[:, :2],
        "a cloud": cloud,
    }


ZOO = zoo()


def localizations(points: Array, *, channels: bool = False) -> ns.Localizations:
    """Localizations with a column of every kind, so that nothing is refused for lack of one."""
    n = len(points)
    numbers = np.arange(n)
    return ns.from_arrays(
        points,
        precision_nm=10.0,
        # Of two channels that are named, the second holds nothing where there is one point.
        channel=np.where(numbers % 2 == 0, "a", "b") if channels else None,
        frame=numbers // 2, photons=np.full(n, 900.0), trace=numbers // 4, time_s=numbers * 0.1,
        sigma_x_nm=np.full(n, 120.0), sigma_y_nm=np.full(n, 120.0), background_photons=np.ones(n),
        efo_hz=np.full(n, 5e4), cfr=np.full(n, 0.3), dcr=numbers / max(n, 1), eco=np.full(n, 50.0),
        photons_b=np.full(n, 300.0), molecule=numbers // 3,
    )  # fmt: skip


Call = Callable[[Array, Path], Any]


def on_locs(name: str, *arguments: Any, **options: Any) -> Call:
    return lambda p, _: drained(getattr(ns, name)(localizations(p), *arguments, **options))


def on_points(name: str, *arguments: Any, **options: Any) -> Call:
    return lambda p, _: drained(getattr(ns, name)(p, *arguments, **options))


def on_both(name: str, *arguments: Any, **options: Any) -> Call:
    """Points against others, and others against points."""

    def call(p: Array, _: Path) -> Any:
        other = ZOO["a cloud"][:, : p.shape[1]] + 7.0
        refused: list[Exception] = []
        for pair in ((p, other), (other, p)):
            try:
                drained(getattr(ns, name)(*pair, *arguments, **options))
            except ns.NanospineError as error:
                refused.append(error)
        for error in refused:
            raise error

    return call


def drained(result: Any) -> Any:
    """Take the first things of an iterator: a field of a metre has many tiles."""
    return list(islice(result, 2)) if isinstance(result, Iterator) else result


@cache
def ball() -> Any:
    import trimesh

    return trimesh.creation.icosphere(subdivisions=2, radius=200.0).apply_translation([200] * 3)


@cache
def spines() -> Any:
    """Spines of a mesh of a shaft with one spine on it."""
    from nanospine.simulate import dendrite

    return ns.find_spines(dendrite(1500.0, ["mushroom"], seed=1).mesh, label="membrane",
                          precision_nm=10.0)  # fmt: skip


@cache
def labels() -> ns.LabelGrid:
    values = np.zeros((6, 8, 8), np.int32)
    values[1:4, 2:6, 2:6] = 1
    values[4:, 3:5, 3:5] = 2
    return ns.LabelGrid(
        values, (50.0, 50.0, 50.0), (0.0, 0.0, 0.0), {0: "background", 1: "shaft", 2: "spine"}
    )  # type: ignore[arg-type]


def chains(p: Array, _: Path) -> Any:
    other = ZOO["a cloud"][:, : p.shape[1]] + 7.0
    ab, bc = ns.soda(p, other, RADII, n_simulations=9), ns.soda(other, p, RADII, n_simulations=9)
    return ns.soda_chains(ab, bc, n_simulations=19)


def by_region(p: Array, _: Path) -> Any:
    other = ZOO["a cloud"][:, : p.shape[1]] + 7.0
    found = ns.soda(p, other, RADII, n_simulations=9)
    return ns.soda_by_region(found, np.zeros(len(p), int), np.zeros(len(other), int))


SIMULATED = {"n_simulations": 19, "null": "csr"}
CALLS: dict[str, Call] = {
    "Box": lambda p, _: ns.Box(p[:1].ravel(), p[-1:].ravel()).size,
    "CompleteRandomness": on_points("null_patterns", ns.CompleteRandomness(), 2),
    "FixedPatterns": lambda p, _: drained(
        ns.null_patterns(ZOO["a cloud"], ns.FixedPatterns((p,)), 1)
    ),
    "Localizations": lambda p, _: ns.Localizations(
        pd.DataFrame(p, columns=["x_nm", "y_nm", "z_nm"][: p.shape[1]])
    ),
    "Polygon": lambda p, _: ns.Polygon(p[:, :2]).size,
    "RandomLabelling": on_both("nearest_distances_test", n_simulations=19, null="labels"),
    "RandomShift": on_points("null_patterns", ns.RandomShift(), 2),
    "ShiftedClusters": lambda p, _: drained(
        ns.null_patterns(p, ns.ShiftedClusters(np.zeros(len(p), int)), 2)
    ),
    "UnevenRandomness": on_points("null_patterns", ns.UnevenRandomness(100.0), 2),
    "add_nena_precision": on_locs("add_nena_precision", overwrite=True),
    "add_precision": on_locs("add_precision", pixel_size_nm=100.0, overwrite=True),
    "add_trace_precision": on_locs("add_trace_precision"),
    "aggregate_photons": on_locs("aggregate_photons", 100.0),
    "aggregate_traces": on_locs("aggregate_traces"),
    "alpha_complex": on_points("alpha_complex", 100.0),
    "alpha_tiles": on_points("alpha_tiles", 100.0),
    "assign_dcr": on_locs("assign_dcr"),
    "assign_ratio": on_locs("assign_ratio", "photons", "photons_b"),
    "centroid_distances": lambda p, _: ns.centroid_distances(
        *2 * [ns.cluster(localizations(p), radius_nm=80.0, min_points=3)]
    ),
    "cfr_cut": on_locs("cfr_cut"),
    "clark_evans": on_points("clark_evans", n_simulations=19),
    "classify": lambda p, _: ns.classify(p[:, 0], p[:, 1], p[:, -1]),
    "cluster": on_locs("cluster", radius_nm=80.0, min_points=3),
    "cluster_colocalization": on_both("cluster_colocalization", 100.0),
    "colocalization": on_both("colocalization", 100.0),
    "correct_drift": on_locs("correct_drift"),
    "cross_correlation_fit": on_both("cross_correlation_fit", np.linspace(10, 200, 12)),
    "dclf_test": on_points("dclf_test", "L", RADII, **SIMULATED),
    "delaunay": on_points("delaunay"),
    "drop_duplicates": on_locs("drop_duplicates", tolerance_nm=1.0),
    "drop_outliers": on_locs("drop_outliers"),
    "drop_sparse": on_locs("drop_sparse", 80.0),
    "efo_cut": on_locs("efo_cut"),
    "ellipse": lambda p, _: ns.ellipse(p[:1, :2].ravel(), np.abs(p[-1:, :2]).ravel()),
    "empty_space_f": on_points("empty_space_f", RADII),
    "envelope": on_points("envelope", alpha_nm=150.0),
    "estimate_drift": on_locs("estimate_drift"),
    "filter_summary": on_locs("filter_summary"),
    "find_spines": lambda p, _: ns.find_spines(ball(), localizations(p), label="membrane"),
    "first_peak_bounds": lambda p, _: ns.first_peak_bounds(p.ravel()),
    "fit_dcr": on_locs("fit_dcr"),
    "fourier_correlation": on_locs("fourier_correlation", pixel_nm=10.0),
    "from_arrays": on_points("from_arrays"),
    "gaussian_precision_nm": lambda p, _: ns.gaussian_precision_nm(
        p[:, 0], p[:, 1], np.zeros(len(p)), 100.0
    ),
    "j_function": on_points("j_function", RADII),
    "keep_box": on_locs("keep_box", (0, 0, 0), (100, 100, 100)),
    "keep_density": on_locs("keep_density", 80.0, low=1.0),
    "keep_ellipse": on_locs("keep_ellipse", (100, 100), (80, 50)),
    "keep_frames": on_locs("keep_frames", 1, 5),
    "keep_long_traces": on_locs("keep_long_traces", 2),
    "keep_polygon": on_locs("keep_polygon", [[0, 0], [200, 0], [0, 200]]),
    "keep_range": on_locs("keep_range", "photons", low=10.0),
    "keep_region": on_locs("keep_region", ns.Box((0, 0, 0), (100, 100, 100))),  # type: ignore[arg-type]
    "keep_time": on_locs("keep_time", 0.1, 1.0),
    "keep_where": on_locs("keep_where", "photons > 5 and x_nm < 300"),
    "kernel_intensity": on_points("kernel_intensity", 100.0),
    "labels_to_points": lambda p, _: ns.labels_to_points(labels(), p, reach_nm=100.0),
    "link_ids": on_locs("link_ids", 30.0),
    "link_localizations": on_locs("link_localizations", 30.0),
    "local_k": on_points("local_k", RADII),
    "local_l": on_points("local_l", RADII),
    "mad_test": on_points("mad_test", "L", RADII, **SIMULATED),
    "measure_neck": on_points(
        "measure_neck", np.array([[0.0, 0, 0], [0, 0, 400]]), precision_nm=10.0
    ),
    "merge_localizations": lambda p, _: ns.merge_localizations(
        [localizations(p), localizations(p)], names=["a", "b"]
    ),
    "nearest_distances": on_both("nearest_distances"),
    "nearest_distances_test": on_both("nearest_distances_test", n_simulations=19),
    "nearest_neighbour_g": on_points("nearest_neighbour_g", RADII),
    "neighbour_counts": on_locs("neighbour_counts", 80.0),
    "nena": on_locs("nena"),
    "null_patterns": on_points("null_patterns", "csr", 2),
    "optimal_transport_curve": on_both("optimal_transport_curve", RADII),
    "outline": lambda p, _: ns.outline(p[:, :2], alpha_nm=150.0),
    "pair_correlation": on_points("pair_correlation", RADII),
    "place_on_spines": lambda p, _: ns.place_on_spines(spines(), p),
    "propose_cuts": on_locs("propose_cuts"),
    "register": lambda p, _: ns.register(localizations(p), localizations(p + 5)),
    "render": lambda p, _: ns.render(ball(), localizations(p), width=64),
    "ripley_by_channel": lambda p, _: ns.ripley_by_channel(localizations(p, channels=True), RADII),
    "ripley_h": on_points("ripley_h", RADII),
    "ripley_k": on_points("ripley_k", RADII),
    "ripley_l": on_points("ripley_l", RADII),
    "simulation_envelope": on_points("simulation_envelope", "L", RADII, **SIMULATED),
    "soda": on_both("soda", RADII, n_simulations=9),
    "soda_by_region": by_region,
    "soda_chains": chains,
    "spine_synapses": lambda p, _: ns.spine_synapses(spines(), p, ZOO["a cloud"]),
    "spines_from_labels": lambda p, _: ns.spines_from_labels(labels(), localizations(p)),
    "split_channels": lambda p, _: ns.split_channels(localizations(p, channels=True)),
    "trace_precision": on_locs("trace_precision"),
    "trim_traces": on_locs("trim_traces", 1, 1),
    "turntable": lambda p, f: ns.turntable(
        ball(), f / "a.gif", localizations(p), n_frames=2, width=64
    ),
    "voxel_tiles": on_points("voxel_tiles", 50.0),
    "voxelize": on_points("voxelize", 50.0),
    "write": lambda p, f: ns.write(localizations(p), f / "a.csv"),
}

RESULT = "holds what a function found; made by that function"
FILE = "reads a file, which the attacks in tests/attacks do"
OF_SPINES = "takes spines that were found, no points"
VOXELS = "takes voxels, no points"
EXEMPT: dict[str, str] = {
    "__version__": "a text",
    "simulate": "a module: makes points, takes none but of its own shapes",
    "NanospineError": "what the others raise",
    **dict.fromkeys(
        ("AlphaComplex", "ClarkEvans", "Clusters", "DeviationTest", "Drift", "Envelope",
         "EnvelopeTest", "Format", "NearestDistances", "NenaResult", "Outline", "Registration",
         "Resolution", "SodaChains", "SodaResult", "SpineSynapses"), RESULT),
    **dict.fromkeys(
        ("BatchConfig", "BioimageIOModel", "DeepD3Model", "OnnxModel", "TorchModel", "detect",
         "open_model", "read", "read_case", "read_labels", "read_volume", "nnunet_segment"), FILE),
    **dict.fromkeys(
        ("continuum_figure", "corrected_spines", "neck_resistance_mohm", "spine_metrics",
         "type_figure", "type_probabilities", "write_morph_spines", "write_spine_table",
         "write_swc"), OF_SPINES),
    **dict.fromkeys(
        ("CallableModel", "LabelGrid", "Mask", "ModelSpec", "VoxelGrid", "convert_labels",
         "deep_segment", "from_classes", "labels_to_meshes", "predict", "segment", "write_case",
         "write_volume", "write_volume_tiles"), VOXELS),
    **dict.fromkeys(
        ("MeshRegion", "Prism", "labels_to_vertices", "remesh", "write_mesh"),
        "takes a surface, no points"),
    **dict.fromkeys(
        ("formats", "register_segmenter", "segmenters", "type_model"), "takes nothing to measure"),
    "ripley_figure": "takes a curve that was computed",
    "run_batch": "takes a configuration; tests/batch",
    "write_training_volumes": "simulates what it writes",
}  # fmt: skip


def test_no_public_name_is_forgotten() -> None:
    assert set(CALLS) | set(EXEMPT) == set(ns.__all__)
    assert not set(CALLS) & set(EXEMPT)
    assert all(len(reason) > 5 for reason in EXEMPT.values())


@pytest.fixture
def _limits() -> Iterator[None]:
    """Two gigabytes more than now, and an alarm: a cloud that spans a metre must not cost one."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

    def too_slow(*_: object) -> None:
        raise TimeoutError("more than 20 s of CPU")

    previous = signal.signal(signal.SIGPROF, too_slow)
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), hard))
    yield
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.signal(signal.SIGPROF, previous)
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@pytest.mark.usefixtures("_limits")
@pytest.mark.parametrize("name", CALLS)
def test_degenerate_points_give_a_result_or_an_error_that_says_what_is_wrong(
    name: str, tmp_path: Path
) -> None:
    faults = []
    for kind, points in ZOO.items():
        before = points.copy()
        signal.setitimer(signal.ITIMER_PROF, 20)
        try:
            CALLS[name](points, tmp_path)
        except ns.NanospineError as error:
            if len(str(error)) < 20:
                faults.append(f"{kind}: an error that says nothing: {error}")
        except Exception as error:  # noqa: BLE001 - that is the point
            faults.append(f"{kind}: {type(error).__name__}: {str(error)[:150]}")
        if not np.array_equal(points, before, equal_nan=points.dtype.kind == "f"):
            faults.append(f"{kind}: the points were changed")
    assert not faults, "\n".join(faults)
