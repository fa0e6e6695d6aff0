"""A movie of a sample that turns once about the upright axis of the picture."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nanospine.core.errors import ConfigError
from nanospine.core.files import atomic_path
from nanospine.core.progress import Progress, report
from nanospine.output.raster import compose
from nanospine.output.raster_camera import Camera, rotation_of, turned
from nanospine.output.render_scene import Thing, finished, marked, sized, stage

if TYPE_CHECKING:
    from PIL.Image import Image

    from nanospine.core.localizations import Localizations
    from nanospine.output.render_scene import Stage

__all__ = ["MOVIE_SUFFIXES", "turntable"]

FloatArray = npt.NDArray[np.float64]
Frames = Iterator[npt.NDArray[np.uint8]]

#: Formats that movies are written in; .mp4 needs imageio-ffmpeg.
MOVIE_SUFFIXES = (".gif", ".webp", ".mp4")


def turntable(
    thing: Thing,
    path: str | os.PathLike[str],
    localizations: Localizations | None = None,
    *,
    n_frames: int = 48,
    seconds: float = 6.0,
    camera: str | tuple[float, float] = "tilted",
    width: int = 800,
    height: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> None:
    """Write a movie of a sample that turns once.

    Parameters
    ----------
    thing, localizations
        As in :func:`nanospine.render`.
    path : path-like
        .gif and .webp need nothing more; .mp4 needs `pip install "nanospine[render]"`.
    n_frames : int
        Frames of one turn, at least 2.
    seconds : float
        How long a turn lasts.
    camera : str or (float, float)
        Where it starts.
    width, height : int
        Pixels.
    progress : callable, optional
        Called with a stage and the fraction done.
    **options
        `colour_by`, `opacity`, `shaft_opacity`, `dark` as in :func:`nanospine.render`.

    Raises
    ------
    ConfigError
        For a suffix that is no movie, an option that is not known, or .mp4 without its encoder.
    """
    target = Path(path)
    dark = bool(options.pop("dark", False))
    unknown = set(options) - {"colour_by", "opacity", "shaft_opacity"}
    if unknown:
        raise ConfigError(f"turntable: there is no option {', '.join(sorted(unknown))}.")
    if n_frames < 2 or not seconds > 0:
        raise ConfigError(
            f"turntable: at least 2 frames in more than 0 s; found {n_frames} in {seconds:g} s."
        )
    write = _writer(target)
    scene = stage(thing, localizations, **options)
    start = rotation_of(camera, scene.framed_nm)
    view = _standing(scene.framed_nm, start, width, height)

    def frames() -> Frames:
        for number in range(n_frames):
            report(progress, "drawing frames", number / n_frames)
            yield _frame(scene, view, turned(start, 360.0 * number / n_frames), dark)
        report(progress, "drawing frames", 1.0)

    with atomic_path(target) as temporary:
        write(temporary, frames(), seconds / n_frames)


def _frame(scene: Stage, view: Camera, rotation: FloatArray, dark: bool) -> npt.NDArray[np.uint8]:
    seen = Camera(rotation, view.centre_nm, view.nm_per_pixel, view.width, view.height)
    dots = sized(scene.dots, seen, None)
    paper = (0.04, 0.05, 0.07) if dark else (1.0, 1.0, 1.0)
    picture = compose(scene.surfaces, dots, seen, background=paper)
    return finished(marked(picture, scene, seen, rings=False, dark=dark), None)


def _standing(xyz: FloatArray, start: FloatArray, width: int, height: int | None) -> Camera:
    """A camera in which the sample fits at every angle of the turn."""
    low, high = xyz.min(axis=0), xyz.max(axis=0)
    centre = (low + high) / 2
    some = xyz[:: max(len(xyz) // 50_000, 1)] - centre
    seen = some @ start.T
    radius = float(np.hypot(seen[:, 0], seen[:, 2]).max())
    tall = float(np.abs(seen[:, 1]).max())
    scale = 2.12 * max(radius, 1.0) / width
    if height is None:
        height = int(np.clip(2.3 * tall / scale, width / 3, 1.5 * width))
    scale = max(scale, 2.12 * tall / height)
    # Even sides: most video formats ask for them
    return Camera(start, centre, scale, width - width % 2, height - height % 2)


def _writer(target: Path) -> Callable[[Path, Frames, float], None]:
    suffix = target.suffix.lower()
    if suffix in (".gif", ".webp"):
        return _write_with_pillow
    if suffix == ".mp4":
        return _write_mp4
    raise ConfigError(
        f"{target}: movies are written as {', '.join(MOVIE_SUFFIXES)}; found {suffix!r}."
    )


def _write_with_pillow(path: Path, frames: Frames, seconds_per_frame: float) -> None:
    from PIL import Image

    images = [Image.fromarray(frame) for frame in frames]
    if path.suffix.lower() == ".gif":
        palette = _palette(images)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    # Of WebP: letters and thin lines get a seam at the usual quality
    more: dict[str, Any] = {"quality": 95} if path.suffix.lower() == ".webp" else {}
    images[0].save(
        path, save_all=True, append_images=images[1:],
        duration=max(round(1000 * seconds_per_frame), 20), loop=0, **more,
    )  # fmt: skip


def _palette(images: Sequence[Image]) -> Image:
    """One palette of 256 colours for all frames: one for each would flicker.

    Colours count by the root of their pixels, or a thin spine would get none of its own.
    """
    from PIL import Image

    some = [np.asarray(image)[::2, ::2].reshape(-1, 3) for image in images[:: len(images) // 8 + 1]]
    colours, count = np.unique(np.concatenate(some) & 0xFC, axis=0, return_counts=True)
    pixels = np.repeat(colours, np.clip(np.sqrt(count), 1, 60).astype(int), axis=0)
    return Image.fromarray(np.ascontiguousarray(pixels[None])).quantize(256)


def _write_mp4(path: Path, frames: Frames, seconds_per_frame: float) -> None:
    """Encode as H.264, frame by frame: a movie of any length needs the memory of one picture."""
    try:
        import imageio_ffmpeg
    except ImportError as error:
        raise ConfigError(
            f'{path.name}: .mp4 needs a video encoder: pip install "nanospine[render]"; '
            ".gif and .webp need none."
        ) from error
    first = next(frames)
    height, width = first.shape[:2]
    encoder = imageio_ffmpeg.write_frames(
        str(path), (width, height), fps=1 / seconds_per_frame, codec="libx264", quality=8,
        macro_block_size=2, ffmpeg_log_level="error",
        # Players begin at once when the index stands first; without a name's suffix ffmpeg asks
        output_params=["-movflags", "+faststart", "-f", "mp4"],
    )  # fmt: skip
    encoder.send(None)
    try:
        for frame in itertools.chain([first], frames):
            encoder.send(np.ascontiguousarray(frame))
    finally:
        encoder.close()
