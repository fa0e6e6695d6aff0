"""What segmenters there are, without loading any."""

from __future__ import annotations

from nanospine.voxels.segment import SegmenterInfo

__all__ = ["CATALOGUE"]

_HERE = "nanospine.voxels.segmenters."
_ROWS = (
    (
        "otsu", "Otsu threshold", "mask", "threshold", "otsu",
        "Otsu 1979, IEEE Trans. SMC 9, 62",
        "sought among non-zero values; holes filled plane by plane",
    ),
    (
        "multi_otsu", "Several Otsu classes", "mask", "threshold", "multi_otsu",
        "Liao, Chen and Chung 2001, J. Inf. Sci. Eng. 17, 713",
        "the brightest classes are kept",
    ),
    (
        "local", "Local threshold", "mask", "threshold", "local",
        "scikit-image threshold_local",
        "with a floor, since in empty places anything exceeds the local mean",
    ),
    (
        "spinetool", "SpineTool threshold", "mask", "threshold", "spinetool",
        "Pchitskaya et al. 2023, SpineTool",
        "any range of values is scaled to 0..255 first",
    ),
    (
        "hk_means", "HK-Means", "objects", "hk_means", "hk_means",
        "Dufour et al. 2008; Icy",
        "sizes are volumes in nm3",
    ),
    (
        "senpai", "SENPAI", "mask", "senpai", "senpai",
        "Cauzzo et al. 2022, SENPAI",
        "centres fitted on at most 200,000 voxels; parcels by parcellate()",
    ),
    (
        "spot_spine", "Spot Spine", "parts", "spot_spine", "spot_spine",
        "Gilles et al. 2024, Spot Spine",
        "the dendrite is a mask, not a traced path; radii are lengths",
    ),
    (
        "opening", "Opening at many scales", "parts", "opening", "opening",
        "idea of 3dSpAn, Das et al. 2022",
        "opening by exact balls; no fuzzy distances, no seeds set by hand",
    ),
    (
        "branches", "Short branches of the skeleton", "parts", "branches", "branches",
        "Rusakov and Stewart 1995, J. Neurosci. Meth. 60, 11; SpineTool",
        "longest path as backbone; cut at the surface of the smoothed shaft",
    ),
    (
        "leaf", "Free ends of the skeleton", "parts", "leaf", "leaf",
        "rule of SpineJ, Levet et al. 2020",
        "in 3-D, on a skeleton thinned from voxels, spurs removed first",
    ),
    (
        "ellipse", "Swept ellipse", "parts", "ellipse", "ellipse",
        "after the description of Kashiwagi et al. 2019, Nat. Commun. 10, 1285",
        "fit, robustness and filters are own",
    ),
    (
        "smrg", "SmRG region growing", "mask", "smrg", "smrg",
        "Callara et al. 2020, SmRG",
        "BIC instead of a dip test; mixture fitted to histograms",
    ),
    (
        "unet", "U-Net that comes with nanospine", "parts", "", "unet",
        "own model, trained on simulated dendrites; encoder with two decoders as in DeepD3",
        "counts of membrane localizations at 40 nm; see default_model()",
    ),
    (
        "geodesic", "Loose parts re-attached", "mask", "geodesic", "geodesic",
        "idea of Jain et al. 2021",
        "own design: medoid of several cheapest ways under changed costs",
    ),
)  # fmt: skip


def _module(name: str) -> str:
    return _HERE + name if name else "nanospine.voxels.deep_adapters"


CATALOGUE: dict[str, SegmenterInfo] = {
    name: SegmenterInfo(name, title, gives, source, differs, _module(module), function)
    for name, title, gives, module, function, source, differs in _ROWS
}
