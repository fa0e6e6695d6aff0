"""Regions read from files: polygons, closed meshes, masks, and what nanospine itself wrote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError, GeometryError, ReadError
from nanospine.core.files import read_json
from nanospine.core.region import Mask, MeshRegion, Polygon, Prism, Region, region_from_dict
from nanospine.core.tiff_pages import check_strips, check_tiff_pages

__all__ = ["REGION_SUFFIXES", "read_region"]

_OUTLINES = (".geojson", ".json")
_MESHES = (".ply", ".stl", ".obj", ".glb", ".gltf", ".off")
_ARRAYS = (".npy", ".npz", ".tif", ".tiff")
#: Suffixes that :func:`read_region` knows.
REGION_SUFFIXES = _OUTLINES + _MESHES + _ARRAYS


def read_region(
    path: str | os.PathLike[str],
    *,
    voxel_nm: float | Sequence[float] | None = None,
    origin_nm: Sequence[float] | None = None,
    z_range_nm: tuple[float, float] | None = None,
) -> Region:
    """Read the region in which points could have been seen.

    - GeoJSON (`.geojson`, `.json`): polygons with holes, all together one region (those that
      overlap are joined), coordinates in nm; as
      `nanospine envelope` writes it for 2-D data, or drawn in another program. JSON that
      `Region.to_dict` gave is read as well.
    - Mesh (`.ply`, `.stl`, `.obj`, `.glb`, `.gltf`, `.off`): closed, in nm.
    - Mask (`.npy`, `.npz`, `.tif`, `.tiff`): voxels (z, y, x) or pixels (y, x), inside where not
      zero. An `.npz` holds it as `data` (or as its only array), and may hold `voxel_nm` and
      `origin_nm`.

    Parameters
    ----------
    path : path
        File to read.
    voxel_nm : float or sequence of float, optional
        Edge of the voxels of a mask, nm: one number, or one for each axis (z, y, x).
    origin_nm : sequence of float, optional
        Centre of voxel 0 of a mask, in the order (z, y, x). Default: the outer corner of the mask
        lies at 0, that is, half a voxel.
    z_range_nm : tuple of float, optional
        Lowest and highest z: makes a prism of a polygon, for points in 3-D.

    Returns
    -------
    Region

    Raises
    ------
    ReadError
        When the file is missing, its suffix unknown or its content not what the suffix says.
    ConfigError
        When a mask has no voxel size.
    GeometryError
        When the content does not make a region: crossing outlines, an open mesh, an empty mask.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "field.geojson"
    ...     _ = path.write_text('{"type": "Polygon", '
    ...                         '"coordinates": [[[0, 0], [100, 0], [100, 50], [0, 0]]]}')
    ...     read_region(path).size
    2500.0
    """
    file = Path(path)
    suffix = file.suffix.lower()
    if suffix not in REGION_SUFFIXES:
        raise ReadError(
            f"{file}: a region is read from {', '.join(REGION_SUFFIXES)}; found {suffix!r}."
        )
    if not file.is_file():
        raise ReadError(f"{file}: no such file; a region was expected there.")
    try:
        if suffix in _OUTLINES:
            region = _outline(file)
        elif suffix in _MESHES:
            region = MeshRegion(_mesh(file))
        else:
            region = _mask(file, voxel_nm, origin_nm)
    except (GeometryError, ConfigError) as error:
        raise type(error)(f"{file}: {error}") from error
    except RecursionError:
        raise ReadError(f"{file}: a region was expected; it is nested too deeply.") from None
    if z_range_nm is None:
        return region
    if not isinstance(region, Polygon):
        raise ConfigError(
            f"{file}: a z range makes a prism of a polygon; this file holds a "
            f"{type(region).__name__}, leave the z range out."
        )
    return Prism(region, *z_range_nm)


def _outline(file: Path) -> Region:
    try:
        content = read_json(file)
    except (ValueError, OSError) as error:
        raise ReadError(f"{file}: GeoJSON was expected; it cannot be read: {error}.") from error
    if isinstance(content, dict) and "kind" in content:
        return region_from_dict(content)
    polygons = _polygons(content)
    if not polygons:
        raise ReadError(f"{file}: GeoJSON with a polygon was expected, found none.")
    parts = [_polygon(rings, file) for rings in polygons]
    if len(parts) == 1:
        return parts[0]
    import shapely

    return Polygon.from_shape(shapely.union_all([part.shape for part in parts]))


def _polygon(rings: Any, file: Path) -> Polygon:
    try:
        rings = [np.asarray(ring, dtype=np.float64)[:, :2] for ring in rings]
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise ReadError(f"{file}: the rings of the polygon are not lists of x, y.") from error
    if not rings:
        raise ReadError(f"{file}: the polygon has no outline.")
    return Polygon(rings[0], tuple(rings[1:]))


def _polygons(content: Any) -> list[Any]:
    """Collect the rings of every polygon of a GeoJSON object, however deep it lies."""
    if isinstance(content, list):
        return [item for entry in content for item in _polygons(entry)]
    if not isinstance(content, dict):
        return []
    kind = content.get("type")
    if kind == "Polygon":
        return [content.get("coordinates", [])]
    if kind == "MultiPolygon":
        held = content.get("coordinates")
        return held if isinstance(held, list) else []
    found = []
    for name in ("features", "geometries", "geometry"):
        found += _polygons(content.get(name))
    return found


def _mesh(file: Path) -> Any:
    from nanospine.core.mesh_files import load_triangles

    mesh = load_triangles(file)
    mesh.process()
    return mesh


def _mask(
    file: Path, voxel_nm: float | Sequence[float] | None, origin_nm: Sequence[float] | None
) -> Mask:
    data, own_voxel, own_origin = _array(file)
    if data.ndim not in (2, 3):
        raise ReadError(
            f"{file}: a mask (z, y, x) or (y, x) was expected, found shape {data.shape}."
        )
    size = voxel_nm if voxel_nm is not None else own_voxel
    if size is None:
        raise ConfigError("the mask does not say how large its voxels are; give voxel_nm.")
    voxel = np.asarray(size, dtype=np.float64).ravel()
    if len(voxel) not in (1, data.ndim) or not (np.isfinite(voxel) & (voxel > 0)).all():
        raise ConfigError(
            f"voxel_nm: one positive length, or {data.ndim}, was expected, found {size!r}."
        )
    voxel = np.broadcast_to(voxel, (data.ndim,)).copy()
    origin = origin_nm if origin_nm is not None else own_origin
    return Mask(data != 0, voxel, voxel / 2 if origin is None else np.asarray(origin, float))


def _array(file: Path) -> tuple[npt.NDArray[Any], Any, Any]:
    """Give the array of a mask file, and its voxel size and origin where it has them."""
    try:
        if file.suffix.lower() in (".tif", ".tiff"):
            # Not skimage.io: it takes an axis of 3 or 4 planes for colours and moves it.
            import tifffile

            check_tiff_pages(file)
            with tifffile.TiffFile(file) as tif:
                check_strips(tif.series[0], file)
                return np.asarray(tif.series[0].asarray()), None, None
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded, None, None
        with loaded:
            held = {name: np.asarray(loaded[name]) for name in loaded.files}
    except ReadError:
        raise
    except Exception as error:
        raise ReadError(f"{file}: a mask was expected; it cannot be read: {error}.") from error
    voxel, origin = held.pop("voxel_nm", None), held.pop("origin_nm", None)
    if "data" not in held and len(held) != 1:
        raise ReadError(
            f"{file}: a mask as the array 'data' was expected, found {sorted(held) or 'nothing'}."
        )
    return held["data"] if "data" in held else next(iter(held.values())), voxel, origin
