"""The same tables from a dask cluster, also when a worker is killed in the middle."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from nanospine.batch.run import run_batch
from nanospine.batch.settings import BatchConfig
from nanospine.core.errors import ConfigError

distributed = pytest.importorskip(
    "dask.distributed", reason="dask.distributed (extra [cluster]) is not installed"
)
# Its closing of sockets is late and loud.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_cluster_with_a_killed_worker_gives_the_serial_tables(
    make: Callable[..., Path], undisturbed: tuple[Path, float]
) -> None:
    with (
        warnings.catch_warnings(),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
    ):
        victims = [worker.pid for worker in cluster.workers.values()]
        killer = threading.Thread(target=_kill_later, args=(victims[0],))
        killer.start()
        result = run_batch(
            BatchConfig.from_toml(make("cluster")), scheduler=cluster.scheduler_address
        )
        killer.join()
    assert (result.files["status"] == "done").all()
    for name, table in (("files", result.files), ("spines", result.spines)):
        serial = pd.read_parquet(undisturbed[0].parent / "experiment" / f"{name}.parquet")
        pd.testing.assert_frame_equal(table, serial)


def _kill_later(process: int) -> None:
    time.sleep(1.0)
    os.kill(process, signal.SIGKILL)


def test_a_scheduler_that_does_not_answer_is_one_sentence(
    make: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nanospine.batch.cluster._CONNECT_S", "1s")
    with pytest.raises(ConfigError, match="no dask scheduler answers at tcp://127"):
        run_batch(BatchConfig.from_toml(make()), scheduler="tcp://127.0.0.1:1")
