"""Work in this process, in several, and on a Dask cluster."""

import os
import sys
from pathlib import Path

import pytest

from sqcodec.errors import SqcodecError
from sqcodec.pipeline.parallel import in_parallel


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_each_item_is_processed_once(jobs) -> None:
    assert sorted(in_parallel(abs, range(-6, 1), jobs=jobs, backend="local")) == list(range(7))


def test_no_items_give_no_results() -> None:
    assert list(in_parallel(abs, [], jobs=2, backend="local")) == []


@pytest.mark.slow
def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        list(in_parallel(int, ["1", "one"], jobs=2, backend="local"))


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # distributed's own
def test_a_dask_cluster() -> None:
    distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    ) as cluster:
        address = cluster.scheduler_address
        with pytest.MonkeyPatch.context() as patch:
            import dask

            patch.setitem(dask.config.config, "scheduler-address", address)
            patch.setitem(dask.config.config, "scheduler_address", address)
            assert sorted(in_parallel(abs, range(-4, 1), jobs=2, backend="dask")) == list(range(5))


def test_missing_dask_is_an_error(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(SqcodecError) as error:
        list(in_parallel(abs, [1], jobs=1, backend="dask"))
    assert str(error.value) == "`backend` dask: dask is not installed; install sqcodec[cluster]"


@pytest.mark.slow
def test_processes_share_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):  # where the first time was says nothing about the second
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found = in_parallel(os.path.abspath, [".", "."], jobs=2, backend="local")
        assert {Path(folder).name for folder in found} == {name}


@pytest.mark.slow
def test_a_process_that_dies_is_an_error() -> None:
    with pytest.raises(SqcodecError, match="a process of 2 ended before its work was complete"):
        list(in_parallel(os._exit, [1, 1], jobs=2, backend="local"))


@pytest.mark.slow
def test_processes_import_nothing_from_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    for name in ("signal", "types", "tempfile"):
        Path(f"{name}.py").write_text(f"raise SystemExit('the {name}.py of a user')\n")
    assert sorted(in_parallel(abs, [-1, 2], jobs=2, backend="local")) == [1, 2]
    assert "PYTHONSAFEPATH" not in os.environ


def test_a_system_without_shared_memory_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("sqcodec.pipeline.parallel.ProcessPoolExecutor", refuse)
    with pytest.raises(SqcodecError) as error:
        list(in_parallel(abs, [1, 2], jobs=2, backend="local"))
    assert str(error.value) == (
        "`jobs` 2: this system starts no processes that can talk to each other (Read-only file system; is /dev/shm"
        " read-only?); use `jobs` 1"
    )
