"""Mutated settings: TOML of runs and batches, sample sheets, steps, corrections, regions.

    python tests/attacks/settings.py --n 100000 --seed 0 --state counts.json

Every file gives what it is for, or an error of nanospine that says what is wrong.
"""  # fmt: skip

from __future__ import annotations

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from engine import command, guarded
from mangle import mutate

VALUES = (
    "0", "-1", "1e400", "nan", "inf", "-inf", "true", '""', '"auto"', "[]", "[[]]", "{}",
    "1979-05-27", '"\\u0000"', '"~nosuchuser/x"', '"a/../b"', "99999999999999999999999", "0.5",
    '"[*"', '"**"', "[1, 2, 3]", '["*.csv"]', '"/"', '"caf\\u00e9.csv"', '"nm"', "'\'\'x\n'\'\'",
    '{do = "drop_sparse"}', "9" * 5000, "[" * 3000, "{a=" * 1500, '"swc"', '["swc", "xlsx"]',
    '"."', "07:32:00", "1e-320",
)  # fmt: skip
DEEP = {"[": b"[" * 200_000, "{": b'{"features":' * 50_000, "a": b'["a",' * 100_000}

SHEET = """file,condition,animal,culture
data/a.csv,wild type,m1,c1
data/b.csv,"knock, out",m2,c1
"""
CORRECTIONS = {
    "nanospine_corrections": 1, "nanospine": "1.0",
    "corrections": [
        {"action": "retype", "spine": 3, "type": "thin"},
        {"action": "merge", "spine": 1, "other": 2, "reason": "one head"},
        {"action": "split", "spine": 0, "point_nm": [1.0, 2, 3], "normal": [0, 0, 1.0]},
    ],
}  # fmt: skip
GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {"type": "Feature", "properties": {}, "geometry": {
            "type": "Polygon", "coordinates": [
                [[0, 0], [900, 0], [900, 500], [0, 500], [0, 0]],
                [[100, 100], [200, 100], [200, 200], [100, 100]]]}},
        {"type": "Feature", "geometry": {
            "type": "MultiPolygon", "coordinates": [[[[2000, 0], [2100, 0], [2000, 90]]]]}},
    ],
}  # fmt: skip
SIDECAR = {
    "shape": [2, 3, 4], "voxel_nm": [50.0, 20, 20], "origin_nm": [0, 0, 1e6], "axes": "zyx",
    "dtype": "uint8", "sha256": "0" * 64, "roles": {"1": "spine"},
}  # fmt: skip
STEPS = (
    "drop_sparse radius_nm=50 min_neighbours=5", "keep_where expression='photons > 500'",
    "keep_box x=[0,1000] y=(0,5)", "drop_duplicates", "keep_frames first=3 last='x'",
)  # fmt: skip

Opened = Callable[[Path], object]


class Settings:
    """Attack on everything that says what to do."""

    title = "file"
    result = "accepted"
    refusal = "refused by a nanospine error"

    def prepare(self) -> list[str]:
        import shapely  # noqa: F401 - imported before the children are forked

        self.samples = specimens()
        self.openers = openers()
        step_warm_up()
        return sorted(self.samples)

    def attack(self, number: int, seed: int, folder: Path) -> tuple[str, str, str]:
        from nanospine.core.errors import NanospineError

        random = np.random.default_rng((seed, number))
        names = sorted(self.samples)
        name = names[int(random.integers(len(names)))]
        choices = self.samples[name]
        data = choices[int(random.integers(len(choices)))].encode()
        way = random.random()
        if name.endswith("toml") and way < 0.7:
            data = edit_toml(data.decode(), random).encode()
        elif "json" in name and way < 0.6:
            data = edit_json(json.loads(data), random)
        if way > 0.4:
            data = mutate(data, SHEET.encode(), random)
        path = folder / ("case.geojson" if name == "region.json" else f"case-{name}")
        path.write_bytes(data)
        (folder / "data").mkdir(exist_ok=True)
        (folder / "data" / "a.csv").touch()
        (folder / "samples.csv").write_text(SHEET)
        return guarded(lambda: self._open(name, path), (NanospineError,), name)

    def _open(self, name: str, path: Path) -> None:
        self.openers[name](path)


def specimens() -> dict[str, list[str]]:
    from nanospine.batch.settings import BATCH_EXAMPLE
    from nanospine.config import EXAMPLE
    from nanospine.core.region import Box, Polygon, Prism

    square = Polygon([[0, 0], [900, 0], [900, 500], [0, 500]])
    held = [Box((0, 0, 0), (1, 2, 3)), square, Prism(square, 0.0, 100.0)]
    return {
        "run.toml": [EXAMPLE, everything(EXAMPLE)],
        "batch.toml": [BATCH_EXAMPLE, everything(BATCH_EXAMPLE)],
        "sheet.csv": [SHEET, SHEET.replace(",", ";"), SHEET.replace(",", "\t")],
        "corrections.json": [json.dumps(CORRECTIONS)],
        "region.json": [json.dumps(GEOJSON), *(json.dumps(item.to_dict()) for item in held)],
        "sidecar.json": [json.dumps(SIDECAR)],
        "step.txt": list(STEPS),
    }


def everything(example: str) -> str:
    """Give an example with all that is commented out in it."""
    return re.sub(r"^# (?=[\[a-z_0-9]+ *[\]=])", "", example, flags=re.M)


def openers() -> dict[str, Opened]:
    from nanospine.batch.samples import find_samples
    from nanospine.batch.settings import BatchConfig
    from nanospine.config import RunConfig
    from nanospine.core.region_files import read_region
    from nanospine.output.corrections import read_corrections
    from nanospine.points.steps import parse_step
    from nanospine.voxels.sidecar import read_sidecar

    def run(path: Path) -> object:
        config = RunConfig.from_toml(path)
        return config.input_path, config.output_folder, config.corrections_path

    def sheet(path: Path) -> object:
        values = {"batch": {"sheet": path.name}, "output": {"folder": "out"}}
        return find_samples(BatchConfig.from_dict(values, base_folder=path.parent))

    return {
        "run.toml": run,
        "batch.toml": lambda path: find_samples(BatchConfig.from_toml(path)),
        "sheet.csv": sheet,
        "corrections.json": read_corrections,
        "region.json": read_region,
        "sidecar.json": read_sidecar,
        "step.txt": lambda path: parse_step(path.read_bytes().decode("latin-1")),
    }


def step_warm_up() -> None:
    from nanospine.points.steps import step_help, step_names

    for name in step_names():
        step_help(name)


def edit_toml(text: str, random: np.random.Generator) -> str:
    """Give some keys other values, names or sections."""
    lines = text.split("\n")
    for _ in range(int(random.integers(1, 4))):
        at = int(random.integers(len(lines)))
        key, equals, _ = lines[at].partition("=")
        way = random.random()
        if equals and way < 0.7:
            lines[at] = f"{key}= {VALUES[int(random.integers(len(VALUES)))]}"
        elif way < 0.8:
            lines[at] = lines[int(random.integers(len(lines)))]
        elif way < 0.9:
            lines.insert(at, f"{key or 'x'}.y = {VALUES[int(random.integers(len(VALUES)))]}")
        else:
            lines[at] = lines[at].removeprefix("# ")
    return "\n".join(lines)


STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1e308, float("nan"), float("inf"), "", "x", [], {}, [[]], 10**400, "NaN",
    [1, 2, 3], [[0, 0], [1, 1], [0, 1]], "\ud800", "\x00", {"type": "Polygon"}, 2**63, 1e-320,
)  # fmt: skip


def edit_json(content: Any, random: np.random.Generator) -> bytes:
    """Put something strange somewhere into nested lists and dictionaries."""
    if random.random() < 0.02:
        return list(DEEP.values())[int(random.integers(len(DEEP)))]
    for _ in range(int(random.integers(1, 3))):
        at = content
        while isinstance(at, dict | list) and at:
            keys = list(at) if isinstance(at, dict) else list(range(len(at)))
            key = keys[int(random.integers(len(keys)))]
            if random.random() < 0.35 or not isinstance(at[key], dict | list):
                at[key] = deepcopy(STRANGE[int(random.integers(len(STRANGE)))])
                break
            at = at[key]
    return json.dumps(content).encode()


if __name__ == "__main__":
    raise SystemExit(command(Settings()))
