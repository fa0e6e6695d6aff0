"""Writing a folder of results so that nobody ever meets half of one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from nanospine.core.errors import WriteError

__all__ = ["atomic_folder", "check_target"]


def check_target(
    path: str | os.PathLike[str], *, overwrite: bool = False, marker: str = "run.json"
) -> None:
    """Refuse a target folder that must not be written to, before any work is done.

    An empty folder may be used. A folder with something in it is replaced only with `overwrite`,
    and only when the file `marker` in it shows that it is an earlier result: a slip of the pen
    must not remove somebody's data.

    Raises
    ------
    WriteError
        Saying what is there and what to do.
    """
    target = Path(path)
    if not target.exists():
        parent = next(item for item in [*target.absolute().parents] if item.exists())
        if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
            raise WriteError(f"{target}: cannot be made: {parent} cannot be written to.")
        return
    if not target.is_dir():
        raise WriteError(f"{target}: is a file; name a folder for the results.")
    if not any(target.iterdir()):
        return
    if not (target / marker).is_file():
        raise WriteError(
            f"{target}: holds files that are not a nanospine result (no {marker}); they are left "
            "alone. Name another folder."
        )
    if not overwrite:
        raise WriteError(
            f"{target}: already holds a result. Name another folder, or say overwrite "
            "(command line: --overwrite)."
        )


@contextmanager
def atomic_folder(
    path: str | os.PathLike[str], *, overwrite: bool = False, marker: str = "run.json"
) -> Iterator[Path]:
    """Give a temporary folder beside `path`; rename it to `path` when the block ends well.

    When the block raises, the temporary folder is removed and `path` is untouched. An earlier
    result is moved aside first and removed last, so that one of the two is always whole.

    Raises
    ------
    WriteError
        As :func:`check_target`, and when the folder cannot be made or renamed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as place:
    ...     with atomic_folder(Path(place) / "results") as folder:
    ...         _ = (folder / "run.json").write_text("{}")
    ...     sorted(str(item.relative_to(place)) for item in Path(place).rglob("*"))
    ['results', 'results/run.json']
    """
    target = Path(path).absolute()
    check_target(target, overwrite=overwrite, marker=marker)
    temporary = target.parent / f".{target.name[:100]}.{secrets.token_hex(6)}.part"
    aside = temporary.with_suffix(".old")
    missing = [item for item in target.parents if not item.exists()]
    try:
        temporary.mkdir(parents=True)
    except OSError as error:
        raise WriteError(f"{target}: cannot be made: {error.strerror or error}.") from error
    try:
        yield temporary
        # Somebody may have written there while we worked.
        check_target(target, overwrite=overwrite, marker=marker)
        try:
            if target.exists():
                target.rename(aside)
            temporary.rename(target)
        except OSError as error:
            if aside.exists() and not target.exists():
                aside.rename(target)
            raise WriteError(f"{target}: cannot be written: {error.strerror or error}.") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            for made in missing:
                with suppress(OSError):
                    made.rmdir()
