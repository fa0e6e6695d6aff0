"""From single-molecule localizations to dendritic spines.

The names below are loaded when they are first used, so that ``import nanospine`` stays light.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nanospine.version import __version__

if TYPE_CHECKING:
    from nanospine import simulate as simulate
    from nanospine.batch.run import run_batch as run_batch
    from nanospine.batch.settings import BatchConfig as BatchConfig
    from nanospine.core.errors import NanospineError as NanospineError
    from nanospine.core.localizations import Localizations as Localizations
    from nanospine.core.localizations import from_arrays as from_arrays
    from nanospine.core.region import Box as Box
    from nanospine.core.region import Mask as Mask
    from nanospine.core.region import MeshRegion as MeshRegion
    from nanospine.core.region import Polygon as Polygon
    from nanospine.core.region import Prism as Prism
    from nanospine.io.registry import Format as Format
    from nanospine.io.registry import detect as detect
    from nanospine.io.registry import formats as formats
    from nanospine.io.registry import read as read
    from nanospine.io.registry import write as write
    from nanospine.output.continuum import continuum_figure as continuum_figure
    from nanospine.output.corrected import corrected_spines as corrected_spines
    from nanospine.output.export import write_mesh as write_mesh
    from nanospine.output.export_tables import write_spine_table as write_spine_table
    from nanospine.output.morph_spines import write_morph_spines as write_morph_spines
    from nanospine.output.render_figure import type_figure as type_figure
    from nanospine.output.render_movie import turntable as turntable
    from nanospine.output.render_scene import render as render
    from nanospine.output.statistics_ripley import ripley_figure as ripley_figure
    from nanospine.output.swc import write_swc as write_swc
    from nanospine.output.training_layouts import write_training_volumes as write_training_volumes
    from nanospine.points.areas import ellipse as ellipse
    from nanospine.points.areas import keep_box as keep_box
    from nanospine.points.areas import keep_ellipse as keep_ellipse
    from nanospine.points.areas import keep_polygon as keep_polygon
    from nanospine.points.areas import keep_region as keep_region
    from nanospine.points.channels import assign_dcr as assign_dcr
    from nanospine.points.channels import assign_ratio as assign_ratio
    from nanospine.points.channels import fit_dcr as fit_dcr
    from nanospine.points.channels import merge_localizations as merge_localizations
    from nanospine.points.channels import split_channels as split_channels
    from nanospine.points.clustering import Clusters as Clusters
    from nanospine.points.clustering import cluster as cluster
    from nanospine.points.drift import Drift as Drift
    from nanospine.points.drift import correct_drift as correct_drift
    from nanospine.points.drift import estimate_drift as estimate_drift
    from nanospine.points.filtering import filter_summary as filter_summary
    from nanospine.points.filtering import keep_frames as keep_frames
    from nanospine.points.filtering import keep_range as keep_range
    from nanospine.points.filtering import keep_time as keep_time
    from nanospine.points.filtering import keep_where as keep_where
    from nanospine.points.linking import link_ids as link_ids
    from nanospine.points.linking import link_localizations as link_localizations
    from nanospine.points.minflux_quality import cfr_cut as cfr_cut
    from nanospine.points.minflux_quality import efo_cut as efo_cut
    from nanospine.points.minflux_quality import first_peak_bounds as first_peak_bounds
    from nanospine.points.minflux_quality import propose_cuts as propose_cuts
    from nanospine.points.neighbours import drop_duplicates as drop_duplicates
    from nanospine.points.neighbours import drop_outliers as drop_outliers
    from nanospine.points.neighbours import drop_sparse as drop_sparse
    from nanospine.points.neighbours import keep_density as keep_density
    from nanospine.points.neighbours import neighbour_counts as neighbour_counts
    from nanospine.points.nena import NenaResult as NenaResult
    from nanospine.points.nena import add_nena_precision as add_nena_precision
    from nanospine.points.nena import nena as nena
    from nanospine.points.precision import add_precision as add_precision
    from nanospine.points.precision import gaussian_precision_nm as gaussian_precision_nm
    from nanospine.points.registration import Registration as Registration
    from nanospine.points.registration import register as register
    from nanospine.points.resolution import Resolution as Resolution
    from nanospine.points.resolution import fourier_correlation as fourier_correlation
    from nanospine.points.traces import add_trace_precision as add_trace_precision
    from nanospine.points.traces import aggregate_photons as aggregate_photons
    from nanospine.points.traces import aggregate_traces as aggregate_traces
    from nanospine.points.traces import keep_long_traces as keep_long_traces
    from nanospine.points.traces import trace_precision as trace_precision
    from nanospine.points.traces import trim_traces as trim_traces
    from nanospine.spines.classes import classify as classify
    from nanospine.spines.find import find_spines as find_spines
    from nanospine.spines.from_labels import spines_from_labels as spines_from_labels
    from nanospine.spines.learned_types import type_model as type_model
    from nanospine.spines.learned_types import type_probabilities as type_probabilities
    from nanospine.spines.metrics import neck_resistance_mohm as neck_resistance_mohm
    from nanospine.spines.metrics import spine_metrics as spine_metrics
    from nanospine.spines.neck import measure_neck as measure_neck
    from nanospine.spines.synapses import SpineSynapses as SpineSynapses
    from nanospine.spines.synapses import place_on_spines as place_on_spines
    from nanospine.spines.synapses import spine_synapses as spine_synapses
    from nanospine.statistics.by_channel import ripley_by_channel as ripley_by_channel
    from nanospine.statistics.clark_evans import ClarkEvans as ClarkEvans
    from nanospine.statistics.clark_evans import clark_evans as clark_evans
    from nanospine.statistics.coupling import centroid_distances as centroid_distances
    from nanospine.statistics.coupling import nearest_distances_test as nearest_distances_test
    from nanospine.statistics.coupling_coordinates import (
        cluster_colocalization as cluster_colocalization,
    )
    from nanospine.statistics.coupling_coordinates import colocalization as colocalization
    from nanospine.statistics.coupling_correlation import (
        cross_correlation_fit as cross_correlation_fit,
    )
    from nanospine.statistics.coupling_transport import (
        optimal_transport_curve as optimal_transport_curve,
    )
    from nanospine.statistics.envelope_result import DeviationTest as DeviationTest
    from nanospine.statistics.envelope_result import EnvelopeTest as EnvelopeTest
    from nanospine.statistics.envelopes import dclf_test as dclf_test
    from nanospine.statistics.envelopes import mad_test as mad_test
    from nanospine.statistics.envelopes import simulation_envelope as simulation_envelope
    from nanospine.statistics.intensity import kernel_intensity as kernel_intensity
    from nanospine.statistics.local import local_k as local_k
    from nanospine.statistics.local import local_l as local_l
    from nanospine.statistics.nearest import NearestDistances as NearestDistances
    from nanospine.statistics.nearest import empty_space_f as empty_space_f
    from nanospine.statistics.nearest import j_function as j_function
    from nanospine.statistics.nearest import nearest_distances as nearest_distances
    from nanospine.statistics.nearest import nearest_neighbour_g as nearest_neighbour_g
    from nanospine.statistics.pair_correlation import pair_correlation as pair_correlation
    from nanospine.statistics.randomisation import CompleteRandomness as CompleteRandomness
    from nanospine.statistics.randomisation import FixedPatterns as FixedPatterns
    from nanospine.statistics.randomisation import RandomLabelling as RandomLabelling
    from nanospine.statistics.randomisation import RandomShift as RandomShift
    from nanospine.statistics.randomisation import ShiftedClusters as ShiftedClusters
    from nanospine.statistics.randomisation import null_patterns as null_patterns
    from nanospine.statistics.ripley import ripley_h as ripley_h
    from nanospine.statistics.ripley import ripley_k as ripley_k
    from nanospine.statistics.ripley import ripley_l as ripley_l
    from nanospine.statistics.soda import SodaResult as SodaResult
    from nanospine.statistics.soda import soda as soda
    from nanospine.statistics.soda_chains import SodaChains as SodaChains
    from nanospine.statistics.soda_chains import soda_by_region as soda_by_region
    from nanospine.statistics.soda_chains import soda_chains as soda_chains
    from nanospine.statistics.uneven import UnevenRandomness as UnevenRandomness
    from nanospine.surface.alpha_complex import AlphaComplex as AlphaComplex
    from nanospine.surface.alpha_complex import alpha_complex as alpha_complex
    from nanospine.surface.alpha_complex import alpha_tiles as alpha_tiles
    from nanospine.surface.delaunay import delaunay as delaunay
    from nanospine.surface.envelope import envelope as envelope
    from nanospine.surface.enveloped import Envelope as Envelope
    from nanospine.surface.outline import Outline as Outline
    from nanospine.surface.outline import outline as outline
    from nanospine.surface.remesh import remesh as remesh
    from nanospine.voxels.deep import ModelSpec as ModelSpec
    from nanospine.voxels.deep import deep_segment as deep_segment
    from nanospine.voxels.deep import predict as predict
    from nanospine.voxels.deep_adapters import CallableModel as CallableModel
    from nanospine.voxels.deep_adapters import OnnxModel as OnnxModel
    from nanospine.voxels.deep_adapters import TorchModel as TorchModel
    from nanospine.voxels.deep_bioimageio import BioimageIOModel as BioimageIOModel
    from nanospine.voxels.deep_folders import nnunet_segment as nnunet_segment
    from nanospine.voxels.deep_folders import read_case as read_case
    from nanospine.voxels.deep_folders import write_case as write_case
    from nanospine.voxels.deep_keras import DeepD3Model as DeepD3Model
    from nanospine.voxels.deep_open import open_model as open_model
    from nanospine.voxels.grid import LabelGrid as LabelGrid
    from nanospine.voxels.grid import VoxelGrid as VoxelGrid
    from nanospine.voxels.panoptic import convert_labels as convert_labels
    from nanospine.voxels.panoptic import from_classes as from_classes
    from nanospine.voxels.segment import register_segmenter as register_segmenter
    from nanospine.voxels.segment import segment as segment
    from nanospine.voxels.segment import segmenters as segmenters
    from nanospine.voxels.transfer import labels_to_meshes as labels_to_meshes
    from nanospine.voxels.transfer import labels_to_points as labels_to_points
    from nanospine.voxels.transfer import labels_to_vertices as labels_to_vertices
    from nanospine.voxels.volume_files import read_labels as read_labels
    from nanospine.voxels.volume_files import read_volume as read_volume
    from nanospine.voxels.volume_files import write_volume as write_volume
    from nanospine.voxels.volume_tiles import write_volume_tiles as write_volume_tiles
    from nanospine.voxels.voxelize import voxel_tiles as voxel_tiles
    from nanospine.voxels.voxelize import voxelize as voxelize

# Public name -> module that holds it. One place: what stands here is what `nanospine.X` offers.
_WHERE = {
    "run_batch": "nanospine.batch.run",
    "BatchConfig": "nanospine.batch.settings",
    "NanospineError": "nanospine.core.errors",
    "Localizations": "nanospine.core.localizations",
    "from_arrays": "nanospine.core.localizations",
    "Box": "nanospine.core.region",
    "Mask": "nanospine.core.region",
    "MeshRegion": "nanospine.core.region",
    "Polygon": "nanospine.core.region",
    "Prism": "nanospine.core.region",
    "Format": "nanospine.io.registry",
    "detect": "nanospine.io.registry",
    "formats": "nanospine.io.registry",
    "read": "nanospine.io.registry",
    "write": "nanospine.io.registry",
    "write_mesh": "nanospine.output.export",
    "write_spine_table": "nanospine.output.export_tables",
    "write_swc": "nanospine.output.swc",
    "continuum_figure": "nanospine.output.continuum",
    "corrected_spines": "nanospine.output.corrected",
    "write_morph_spines": "nanospine.output.morph_spines",
    "type_figure": "nanospine.output.render_figure",
    "ripley_figure": "nanospine.output.statistics_ripley",
    "turntable": "nanospine.output.render_movie",
    "render": "nanospine.output.render_scene",
    "ellipse": "nanospine.points.areas",
    "keep_box": "nanospine.points.areas",
    "keep_ellipse": "nanospine.points.areas",
    "keep_polygon": "nanospine.points.areas",
    "keep_region": "nanospine.points.areas",
    "filter_summary": "nanospine.points.filtering",
    "keep_frames": "nanospine.points.filtering",
    "keep_range": "nanospine.points.filtering",
    "keep_time": "nanospine.points.filtering",
    "keep_where": "nanospine.points.filtering",
    "drop_duplicates": "nanospine.points.neighbours",
    "drop_outliers": "nanospine.points.neighbours",
    "drop_sparse": "nanospine.points.neighbours",
    "keep_density": "nanospine.points.neighbours",
    "neighbour_counts": "nanospine.points.neighbours",
    "assign_dcr": "nanospine.points.channels",
    "assign_ratio": "nanospine.points.channels",
    "fit_dcr": "nanospine.points.channels",
    "merge_localizations": "nanospine.points.channels",
    "split_channels": "nanospine.points.channels",
    "Clusters": "nanospine.points.clustering",
    "cluster": "nanospine.points.clustering",
    "cfr_cut": "nanospine.points.minflux_quality",
    "efo_cut": "nanospine.points.minflux_quality",
    "first_peak_bounds": "nanospine.points.minflux_quality",
    "propose_cuts": "nanospine.points.minflux_quality",
    "Registration": "nanospine.points.registration",
    "register": "nanospine.points.registration",
    "link_ids": "nanospine.points.linking",
    "link_localizations": "nanospine.points.linking",
    "add_trace_precision": "nanospine.points.traces",
    "aggregate_photons": "nanospine.points.traces",
    "aggregate_traces": "nanospine.points.traces",
    "keep_long_traces": "nanospine.points.traces",
    "trace_precision": "nanospine.points.traces",
    "trim_traces": "nanospine.points.traces",
    "add_precision": "nanospine.points.precision",
    "gaussian_precision_nm": "nanospine.points.precision",
    "NenaResult": "nanospine.points.nena",
    "nena": "nanospine.points.nena",
    "add_nena_precision": "nanospine.points.nena",
    "Resolution": "nanospine.points.resolution",
    "fourier_correlation": "nanospine.points.resolution",
    "Drift": "nanospine.points.drift",
    "correct_drift": "nanospine.points.drift",
    "estimate_drift": "nanospine.points.drift",
    "Outline": "nanospine.surface.outline",
    "outline": "nanospine.surface.outline",
    "remesh": "nanospine.surface.remesh",
    "SpineSynapses": "nanospine.spines.synapses",
    "place_on_spines": "nanospine.spines.synapses",
    "spine_synapses": "nanospine.spines.synapses",
    "spine_metrics": "nanospine.spines.metrics",
    "neck_resistance_mohm": "nanospine.spines.metrics",
    "type_probabilities": "nanospine.spines.learned_types",
    "type_model": "nanospine.spines.learned_types",
    "AlphaComplex": "nanospine.surface.alpha_complex",
    "alpha_complex": "nanospine.surface.alpha_complex",
    "alpha_tiles": "nanospine.surface.alpha_complex",
    "delaunay": "nanospine.surface.delaunay",
    "Envelope": "nanospine.surface.enveloped",
    "envelope": "nanospine.surface.envelope",
    "ripley_by_channel": "nanospine.statistics.by_channel",
    "kernel_intensity": "nanospine.statistics.intensity",
    "local_k": "nanospine.statistics.local",
    "local_l": "nanospine.statistics.local",
    "pair_correlation": "nanospine.statistics.pair_correlation",
    "ripley_h": "nanospine.statistics.ripley",
    "ripley_k": "nanospine.statistics.ripley",
    "ripley_l": "nanospine.statistics.ripley",
    "NearestDistances": "nanospine.statistics.nearest",
    "nearest_distances": "nanospine.statistics.nearest",
    "nearest_neighbour_g": "nanospine.statistics.nearest",
    "empty_space_f": "nanospine.statistics.nearest",
    "j_function": "nanospine.statistics.nearest",
    "CompleteRandomness": "nanospine.statistics.randomisation",
    "FixedPatterns": "nanospine.statistics.randomisation",
    "RandomLabelling": "nanospine.statistics.randomisation",
    "RandomShift": "nanospine.statistics.randomisation",
    "ShiftedClusters": "nanospine.statistics.randomisation",
    "UnevenRandomness": "nanospine.statistics.uneven",
    "null_patterns": "nanospine.statistics.randomisation",
    "dclf_test": "nanospine.statistics.envelopes",
    "mad_test": "nanospine.statistics.envelopes",
    "simulation_envelope": "nanospine.statistics.envelopes",
    "DeviationTest": "nanospine.statistics.envelope_result",
    "EnvelopeTest": "nanospine.statistics.envelope_result",
    "ClarkEvans": "nanospine.statistics.clark_evans",
    "clark_evans": "nanospine.statistics.clark_evans",
    "SodaResult": "nanospine.statistics.soda",
    "soda": "nanospine.statistics.soda",
    "spines_from_labels": "nanospine.spines.from_labels",
    "cross_correlation_fit": "nanospine.statistics.coupling_correlation",
    "optimal_transport_curve": "nanospine.statistics.coupling_transport",
    "soda_chains": "nanospine.statistics.soda_chains",
    "SodaChains": "nanospine.statistics.soda_chains",
    "soda_by_region": "nanospine.statistics.soda_chains",
    "nearest_distances_test": "nanospine.statistics.coupling",
    "centroid_distances": "nanospine.statistics.coupling",
    "colocalization": "nanospine.statistics.coupling_coordinates",
    "cluster_colocalization": "nanospine.statistics.coupling_coordinates",
    "find_spines": "nanospine.spines.find",
    "measure_neck": "nanospine.spines.neck",
    "classify": "nanospine.spines.classes",
    "ModelSpec": "nanospine.voxels.deep",
    "deep_segment": "nanospine.voxels.deep",
    "predict": "nanospine.voxels.deep",
    "CallableModel": "nanospine.voxels.deep_adapters",
    "OnnxModel": "nanospine.voxels.deep_adapters",
    "TorchModel": "nanospine.voxels.deep_adapters",
    "BioimageIOModel": "nanospine.voxels.deep_bioimageio",
    "nnunet_segment": "nanospine.voxels.deep_folders",
    "read_case": "nanospine.voxels.deep_folders",
    "write_case": "nanospine.voxels.deep_folders",
    "DeepD3Model": "nanospine.voxels.deep_keras",
    "open_model": "nanospine.voxels.deep_open",
    "LabelGrid": "nanospine.voxels.grid",
    "VoxelGrid": "nanospine.voxels.grid",
    "labels_to_meshes": "nanospine.voxels.transfer",
    "labels_to_points": "nanospine.voxels.transfer",
    "labels_to_vertices": "nanospine.voxels.transfer",
    "read_labels": "nanospine.voxels.volume_files",
    "read_volume": "nanospine.voxels.volume_files",
    "write_volume": "nanospine.voxels.volume_files",
    "write_volume_tiles": "nanospine.voxels.volume_tiles",
    "voxel_tiles": "nanospine.voxels.voxelize",
    "voxelize": "nanospine.voxels.voxelize",
    "convert_labels": "nanospine.voxels.panoptic",
    "from_classes": "nanospine.voxels.panoptic",
    "register_segmenter": "nanospine.voxels.segment",
    "segment": "nanospine.voxels.segment",
    "segmenters": "nanospine.voxels.segment",
    "write_training_volumes": "nanospine.output.training_layouts",
}
_MODULES = {"simulate": "nanospine.simulate"}

__all__ = ["__version__", *sorted(_WHERE), *sorted(_MODULES)]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _WHERE:
        value = getattr(importlib.import_module(_WHERE[name]), name)
    else:
        raise AttributeError(f"nanospine has no name {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
