"""A field by tiles: from a partitioned table, by processes that are killed, on a real cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import trimesh

from nanospine.batch import field as module
from nanospine.batch.field import FieldSurface, FieldTile, surface_of_field, work_on_tile
from nanospine.batch.task import Outcome
from nanospine.core.errors import ConfigError, GeometryError, ReadError, WriteError
from nanospine.output.export import write_mesh
from nanospine.surface.alpha_complex import alpha_complex

FloatArray = npt.NDArray[np.float64]
ALPHA = 60.0


@pytest.fixture(scope="module")
def points() -> FloatArray:
    """Give twelve noisy shells in a row, some of which touch."""
    rng = np.random.default_rng(0)
    shell = rng.normal(size=(12, 1500, 3))
    shell *= (300 + rng.normal(0, 8, (12, 1500, 1))) / np.linalg.norm(shell, axis=2)[:, :, None]
    shell[:, :, 0] += 560.0 * np.arange(12)[:, None]
    return rng.permutation(shell.reshape(-1, 3))


@pytest.fixture(scope="module")
def table(points: FloatArray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a partitioned Parquet table."""
    folder = tmp_path_factory.mktemp("table")
    for number, part in enumerate(np.array_split(points, 5)):
        (folder / f"frame={number}").mkdir()
        frame = pd.DataFrame(part, columns=["x_nm", "y_nm", "z_nm"]).assign(photons=1.0)
        frame.to_parquet(folder / f"frame={number}" / "part-0.parquet")
    return folder


@pytest.fixture(scope="module")
def expected(points: FloatArray) -> trimesh.Trimesh:
    return alpha_complex(points, ALPHA, points_per_tile=None).surface(points, voids="fill")


def same(found: FieldSurface, expected: trimesh.Trimesh) -> bool:
    """Compare byte by byte with what is written of all points at once."""
    at_once = found.path.with_name("at-once.ply")
    write_mesh(expected, at_once)
    is_same = found.path.read_bytes() == at_once.read_bytes()
    at_once.unlink()
    return is_same


def test_processes_give_the_surface_of_the_whole(
    table: Path, expected: trimesh.Trimesh, tmp_path: Path
) -> None:
    found = surface_of_field(table, tmp_path / "out", ALPHA, jobs=2, points_per_tile=2000)
    assert same(found, expected)
    assert found.n_tiles > 8
    assert found.n_localizations == 18_000
    written = trimesh.load_mesh(tmp_path / "out" / "surface.ply")
    assert len(written.faces) == len(expected.faces)
    names = {item.name for item in (tmp_path / "out").iterdir() if item.name[0] != "."}
    assert names == {"surface.ply", "field.json"}
    assert found.to_frame().loc[0, "n_localizations"] == 18_000


def fail(tile: FieldTile) -> Outcome:
    if tile.number > 2:
        return Outcome(tile.name, "failed", "no memory", "MemoryError")
    return work_on_tile(tile)


def test_a_killed_run_goes_on_where_it_was(
    table: Path, expected: trimesh.Trimesh, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place = lambda tasks, **options: map(options["work"], tasks)  # noqa: E731
    monkeypatch.setattr(module, "run_in_processes", in_place)
    monkeypatch.setattr(module, "work_on_tile", fail)
    with pytest.raises(GeometryError, match="tiles failed; first tile 3: no memory The others"):
        surface_of_field(table, tmp_path / "out", ALPHA, points_per_tile=2000)
    monkeypatch.undo()
    monkeypatch.setattr(module, "run_in_processes", in_place)
    found = surface_of_field(table, tmp_path / "out", ALPHA, points_per_tile=2000)
    assert found.n_tiles_worked == found.n_tiles - 3
    assert same(found, expected)


def test_another_question_sorts_again(table: Path, tmp_path: Path) -> None:
    first = surface_of_field(table, tmp_path / "out", ALPHA, points_per_tile=9000)
    again = surface_of_field(table, tmp_path / "out", 2 * ALPHA, points_per_tile=9000)
    assert again.n_tiles_worked == again.n_tiles
    assert again.volume_nm3 > first.volume_nm3


@pytest.mark.filterwarnings("ignore")
def test_a_real_cluster_that_loses_a_worker_gives_the_surface_of_the_whole(
    table: Path, expected: trimesh.Trimesh, tmp_path: Path
) -> None:
    distributed = pytest.importorskip(
        "dask.distributed", reason="dask.distributed (extra [cluster]) is not installed"
    )
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        victim = next(iter(cluster.workers.values())).pid
        folder = tmp_path / "out"

        def kill_when_a_tile_is_done() -> None:
            until = time.monotonic() + 60
            while time.monotonic() < until and not list(folder.glob("tiles/*/tile-*")):
                time.sleep(0.02)
            os.kill(victim, signal.SIGKILL)

        killer = threading.Thread(target=kill_when_a_tile_is_done)
        killer.start()
        found = surface_of_field(
            table, folder, ALPHA, scheduler=cluster.scheduler_address, points_per_tile=500
        )
        killer.join()
    assert found.n_tiles > 30
    assert same(found, expected)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"alpha_nm": 0.0}, GeometryError, "positive alpha_nm"),
        ({"source": "nothing.parquet"}, ReadError, "does not exist"),
        ({"alpha_nm": 1e-3}, GeometryError, "empty"),
    ],
)
def test_bad_input(
    change: dict[str, object], error: type[Exception], words: str, table: Path, tmp_path: Path
) -> None:
    given = {"source": table, "folder": tmp_path / "out", "alpha_nm": ALPHA} | change
    with pytest.raises(error, match=words):
        surface_of_field(**given)  # type: ignore[arg-type]


def test_a_folder_of_others_is_left_alone(table: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(WriteError, match="left alone"):
        surface_of_field(table, tmp_path, ALPHA)


def test_no_scheduler_is_one_sentence(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dask.distributed")
    monkeypatch.setattr("nanospine.batch.cluster._CONNECT_S", "1s")
    with pytest.raises(ConfigError, match="no dask scheduler answers"):
        surface_of_field(table, tmp_path / "out", ALPHA, scheduler="tcp://127.0.0.1:1")


def test_a_process_that_dies_costs_its_tile_once(
    table: Path, expected: trimesh.Trimesh, tmp_path: Path
) -> None:
    """And the surface is that of all points at once, byte for byte."""
    # In a process of its own: the workers must be able to import what they do.
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from nanospine.batch import field\n"
        "import field_work\n"
        "if __name__ == '__main__':\n"
        "    field.work_on_tile = field_work.die_once\n"
        "    found = field.surface_of_field(sys.argv[2], sys.argv[3], 60.0, points_per_tile=3000)\n"
        "    print(found.n_tiles, found.n_faces)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    done = subprocess.run(
        [sys.executable, str(script), str(Path(__file__).parent), str(table), str(tmp_path / "o")],
        capture_output=True, text=True, check=False, timeout=120,
        env=os.environ | {"MARKS": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split()[0]) > 4
    assert len(list(tmp_path.glob("died-*"))) == 2
    write_mesh(expected, tmp_path / "serial.ply")
    assert (tmp_path / "o" / "surface.ply").read_bytes() == (tmp_path / "serial.ply").read_bytes()


def test_the_command(table: Path, expected: trimesh.Trimesh, tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from nanospine.cli.app import app

    asked = ["field", str(table), "-o", str(tmp_path / "out"), "--alpha-nm", str(ALPHA)]
    shown = CliRunner().invoke(app, asked)
    assert shown.exit_code == 0, shown.output
    assert "18,000" in shown.stdout
    found = CliRunner().invoke(app, [*asked, "--json"])
    assert json.loads(found.stdout)["n_faces"] == len(expected.faces)


def test_a_run_that_is_killed_while_it_joins_leaves_nothing(
    table: Path, expected: trimesh.Trimesh, tmp_path: Path
) -> None:
    """The next run works on no tile again, writes the same bytes, and removes what was left."""
    code = (
        "import os, signal, sys\n"
        "from nanospine.batch import field\n"
        "from nanospine.surface import tile_joining\n"
        "faces = tile_joining.JoinedSurface.faces\n"
        "def die(self):\n"
        "    yield next(faces(self))[:100]\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "if __name__ == '__main__':\n"
        "    tile_joining.JoinedSurface.faces = die\n"
        "    field.surface_of_field(sys.argv[1], sys.argv[2], 60.0, points_per_tile=3000)\n"
    )
    script, out = tmp_path / "script.py", tmp_path / "out"
    script.write_text(code)
    command = [sys.executable, str(script), str(table), str(out)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    key = next((out / "tiles").iterdir())
    (key / ".0123456789ab.part").mkdir()  # as a worker leaves it that is killed at its end
    assert len(list(out.glob(".*.part.ply"))) == 1
    assert not (out / "surface.ply").exists()
    found = surface_of_field(table, out, ALPHA, points_per_tile=3000)
    assert found.n_tiles_worked == 0
    assert same(found, expected)
    held = {item.name for item in out.iterdir()}
    assert held == {"surface.ply", "field.json", ".lock", ".workers.lock"}


@pytest.mark.parametrize("voids", ["keep", "fill"])
def test_small_parts_and_voids_of_many_tiles(
    points: FloatArray, table: Path, voids: str, tmp_path: Path
) -> None:
    """Shells that span tiles hold voids; some bodies are below the fraction of the largest."""
    choice = {"voids": voids, "min_component_fraction": 0.3}
    whole = alpha_complex(points, ALPHA, points_per_tile=None).surface(points, **choice)  # type: ignore[arg-type]
    found = surface_of_field(table, tmp_path / "out", ALPHA, points_per_tile=2000, **choice)  # type: ignore[arg-type]
    assert same(found, whole)
    assert found.n_parts == whole.body_count
    assert found.area_nm2 == pytest.approx(whole.area)
    assert found.volume_nm3 == pytest.approx(whole.volume)
    assert found.solid_volume_nm3 == pytest.approx(found.tetrahedra_volume_nm3, rel=1e-3)
    assert found.memory_to_open_gb > 0
