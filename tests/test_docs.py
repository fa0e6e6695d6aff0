"""The documentation builds without a warning, its tutorials run, and it tells of every command."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NEEDED = ("sphinx", "myst_parser", "sphinx_gallery", "furo", "latex2mathml")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    for name in NEEDED:
        pytest.importorskip(name, reason=f"{name} is not installed (pip install '.[docs]')")
    source = tmp_path_factory.mktemp("source")
    # A copy: what the build writes must not lie in the source
    ignored = shutil.ignore_patterns("_build", "auto_tutorials", "reference", "__pycache__")
    shutil.copytree(ROOT / "docs", source / "docs", ignore=ignored)
    shutil.copytree(ROOT / "benchmarks", source / "benchmarks")
    shutil.copy(ROOT / "CONTRIBUTING.md", source)
    out = source / "html"
    words = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html"]
    done = subprocess.run(
        [*words, str(source / "docs"), str(out)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return out


@pytest.mark.slow
def test_it_builds_without_a_warning_and_tells_of_every_command(site):
    import typer.main

    from nanospine.cli.app import app

    for name in typer.main.get_command(app).commands:
        assert f"nanospine {name}" in (site / "commands" / f"{name}.html").read_text()


@pytest.mark.slow
def test_tutorials_say_what_was_planted_and_show_pictures(site):
    page = (site / "auto_tutorials" / "tutorial_1_storm_spines.html").read_text()
    assert "planted" in page
    assert page.count("sphx_glr_tutorial_1_storm_spines_00") >= 3


@pytest.mark.slow
def test_pages_ask_nothing_of_the_network(site):
    for page in ("index.html", "methods/necks.html", "auto_tutorials/index.html"):
        text = (site / page).read_text()
        assert 'src="http' not in text
        assert 'rel="stylesheet" type="text/css" href="http' not in text
    assert "<math" in (site / "methods" / "necks.html").read_text()


@pytest.mark.slow
def test_python_on_the_pages_runs(tmp_path, monkeypatch):
    """As it stands there, one page after the other, on a small dendrite of the reader's own."""
    import nanospine as ns

    shape = ns.simulate.dendrite(2000, ["mushroom", "thin"], seed=3, voxel_nm=35)
    monkeypatch.chdir(tmp_path)
    ns.write(ns.simulate.localize(shape, density_per_um2=150, seed=2), "cell1.csv")
    monkeypatch.setattr(ns, "turntable", partial(ns.turntable, n_frames=3, width=200))
    monkeypatch.setattr(ns, "render", partial(ns.render, width=300))
    monkeypatch.setattr(ns, "type_figure", partial(ns.type_figure, dpi=80))
    known: dict[str, object] = {"ns": ns}
    for name in ("README.md", "docs/pictures.md", "docs/howto/segmenter.md"):
        text = (ROOT / name).read_text(encoding="utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.S)
        assert blocks, name
        for block in blocks:
            exec(compile(block, name, "exec"), known)
        counts = ns.voxelize(known["locs"], 80.0)
        known.setdefault("grid", counts.with_data(counts.data * 100))
    assert {"spines.png", "a.png", "figure1.pdf", "continuum.png", "turn.gif"} <= {
        item.name for item in tmp_path.iterdir()
    }
    assert known["labels"].roles[1] == "object"


def test_every_page_of_methods_tells_of_limits():
    for page in (ROOT / "docs" / "methods").glob("*.md"):
        if page.stem not in ("index", "types"):
            text = page.read_text(encoding="utf-8")
            assert "imits" in text, page.name
