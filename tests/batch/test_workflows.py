"""The examples for workflow managers: run where the manager is there, else read by a parser."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def test_snakemake_gathers_the_tables_of_all_files(balls: Path, tmp_path: Path) -> None:
    snakemake = os.environ.get("SNAKEMAKE") or shutil.which("snakemake")
    if snakemake is None:
        pytest.skip("snakemake is neither on the path nor named by SNAKEMAKE")
    import nanospine as ns

    (tmp_path / "data").mkdir()
    shape = ns.simulate.dendrite(2000, ["mushroom"], seed=1)
    ns.write(ns.simulate.localize(shape, density_per_um2=300, seed=1), tmp_path / "data/cell.csv")
    shutil.copy(balls / "ball0.csv", tmp_path / "data" / "ball.csv")
    here = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        [snakemake, "--snakefile", str(EXAMPLES / "Snakefile"), "--cores", "1",
         "--config", "folder=data", "units=nm"],
        cwd=tmp_path, env=here, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    found = pd.read_csv(tmp_path / "results" / "spines.csv")
    alone = pd.read_csv(tmp_path / "results" / "cells" / "cell" / "spines.csv")
    assert (found["file"] == "cell").all()  # the ball has no spines
    pd.testing.assert_frame_equal(found.drop(columns="file"), alone)


@pytest.mark.parametrize("name", ["main", "nanospine"])
def test_nextflow_files_are_groovy(name: str, tmp_path: Path) -> None:
    """Compiled, not run: what Nextflow reads is Groovy with names of its own."""
    groovyc = shutil.which("groovyc")
    if groovyc is None or not os.environ.get("JAVA_HOME"):
        pytest.skip("groovyc or JAVA_HOME is not there")
    shutil.copy(EXAMPLES / "nextflow" / f"{name}.nf", tmp_path / f"{name}.groovy")
    done = subprocess.run(
        [groovyc, "-d", str(tmp_path), str(tmp_path / f"{name}.groovy")],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.glob(f"{name}*.class"))
