"""Files changed towards code that was not reached yet: an attack guided by coverage.

    pip install atheris
    python tests/attacks/guided.py --n 200000 --seed 0 FOLDER

FOLDER keeps what reached new code, and a run goes on from it; it is filled with the specimens of
every format first. Python code of `nanospine.io` and `nanospine.core` is followed, not the
libraries in C below it. A fault stops the run: the file that made it is named. Where atheris does
not install (it follows Python's byte code, and comes after a new Python by months), `mutate.py`
attacks the same door without following the code.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import resource
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import numpy as np
from engine import CPU_SECONDS, MEMORY_BYTES, REFUSED, RESULT, fast_folder, guarded
from mutate import LARGEST_SAMPLE, corpus

# The first byte of an input is the number of the suffix and arguments it is read with.
EVERY = 5000


class Guided:
    """What becomes of each input; counts are kept, because libFuzzer ends the process itself."""

    def __init__(self, counts: Path) -> None:
        self.place = Path(tempfile.mkdtemp(dir=fast_folder()))
        self.counts = counts
        self.seen: Counter[str] = Counter()
        self.kinds: list[tuple[str, dict[str, object]]] = []
        self.seeds: list[bytes] = []
        for _, content, suffix, arguments in corpus():
            if not isinstance(content, bytes):
                continue
            kind = (suffix, arguments)
            if kind not in self.kinds:
                self.kinds.append(kind)
            self.seeds.append(bytes([self.kinds.index(kind) % 256]) + content)

    def fill(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for seed in self.seeds:
            (folder / hashlib.sha256(seed).hexdigest()[:16]).write_bytes(seed)

    def one(self, data: bytes) -> None:
        import nanospine as ns
        from nanospine.core.errors import ReadError

        if not data:
            return
        suffix, arguments = self.kinds[data[0] % len(self.kinds)]
        path = self.place / f"case{suffix}"
        path.write_bytes(data[1:])

        def call() -> str | None:
            locs = ns.read(path, **arguments)
            return None if np.isfinite(locs.xyz_nm).all() else "positions that are not finite"

        _, outcome, fault = guarded(call, (ReadError,), suffix)
        self.seen[outcome] += 1
        if sum(self.seen.values()) % EVERY == 0 or fault:
            part = self.counts.with_suffix(".part")
            part.write_text(json.dumps(self.seen))
            part.replace(self.counts)
        if outcome not in (RESULT, REFUSED):
            raise RuntimeError(fault)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--n", type=int, default=200_000, help="number of executions")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    try:
        import atheris
    except ImportError:
        print("atheris is not installed (pip install atheris); run mutate.py", file=sys.stderr)  # noqa: T201
        return 2
    with atheris.instrument_imports(include=["nanospine.io", "nanospine.core"]):
        import nanospine as ns

        ns.formats()
    attack = Guided(options.folder.with_name(options.folder.name + "-counts.json"))
    attack.fill(options.folder)
    warnings.simplefilter("ignore")
    # libFuzzer's own maps count for address space: memory is limited by what is resident
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    atheris.Setup(
        [
            sys.argv[0], str(options.folder), f"-runs={options.n}", f"-seed={options.seed}",
            f"-max_len={LARGEST_SAMPLE}", f"-timeout={CPU_SECONDS}",
            f"-rss_limit_mb={MEMORY_BYTES >> 20}", "-print_final_stats=1",
        ],
        attack.one,
    )  # fmt: skip
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
