"""The scripts in examples/ run, and say what their comments promise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# As for the tests themselves (pyproject.toml): not ours to mend.
SCIKIT_IMAGE = (
    "-W",
    "ignore:Setting the shape on a NumPy array:DeprecationWarning:"
    "skimage.measure._marching_cubes_lewiner",
)
SAYS = {
    "clean_localizations.py": "resolution after",
    "quickstart.py": "planted:",
    "own_table.py": "As it should be: cell1.csv: no unit is given",
    "measure_one_neck.py": "measured at the constriction",
    "ripley_of_synapses.py": "p = 0.01; outside the envelope from",
    "voxel_round_trip.py": "closed: True",
    "voxel_fiji.py": "on the spine; mushroom",
    "voxel_slicer.py": "on the spine; mushroom",
    "voxel_napari.py": "on the spine; mushroom",
    "voxel_nnunet.py": "on the spine; mushroom",
    "voxel_deepd3.py": "on the spine; mushroom",
}


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_example_runs(path: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", *SCIKIT_IMAGE, str(path)],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert SAYS[path.name] in done.stdout
    assert list(tmp_path.iterdir()) == []
