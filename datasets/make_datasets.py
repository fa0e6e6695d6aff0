"""Make the files of this folder and registry.json: python datasets/make_datasets.py."""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path

import nanospine as ns
from nanospine.core.files import atomic_path, sha256_of

FOLDER = Path(__file__).resolve().parent


def dendrite() -> ns.Localizations:
    """Three spines on 4 µm of shaft, membrane label."""
    shape = ns.simulate.dendrite(4000, ["mushroom", "thin", "stubby"], seed=5)
    return ns.simulate.localize(shape, density_per_um2=300, seed=5)


def synapses() -> ns.Localizations:
    """Two channels, 40 % of the postsynaptic molecules 100 nm from a presynaptic one."""
    field = ns.Box((0, 0, 0), (6000, 6000, 800))
    return ns.simulate.synapses(field, n_pre=800, n_post=600, coupled_fraction=0.4, seed=5)


MADE = {"dendrite_thunderstorm.csv.gz": dendrite, "synapses_two_channels.csv.gz": synapses}


def write_packed(locs: ns.Localizations, path: Path) -> None:
    """Write csv packed with gzip, without a time in it: the same rows give the same bytes."""
    with tempfile.TemporaryDirectory() as name:
        plain = Path(name) / path.name.removesuffix(".gz")
        ns.write(locs, plain)
        packed = gzip.compress(plain.read_bytes(), mtime=0)
    with atomic_path(path) as temporary:
        temporary.write_bytes(packed)


def main() -> None:
    """Write every file, then the registry."""
    rows = []
    for name, make in MADE.items():
        path = FOLDER / name
        locs = make()
        write_packed(locs, path)
        rows.append(
            {
                "name": name,
                "what": (make.__doc__ or "").strip(),
                "n_localizations": len(locs),
                "bytes": path.stat().st_size,
                "sha256": sha256_of(path),
            }
        )
        print(rows[-1])
    text = json.dumps({"simulated": rows}, indent=2, ensure_ascii=False) + "\n"
    (FOLDER / "registry.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
