"""Work in this process, in several, and on a Dask cluster."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from sqcodec.errors import SqcodecError, StoppedError
from sqcodec.pipeline.parallel import in_parallel
from sqcodec.train.interruption import stop_signals

ROOT = Path(__file__).resolve().parents[2]
LONG = 60  # seconds


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


def work_until_asked(path: Path) -> None:
    """As a training: it saves when it is asked to stop."""
    with stop_signals() as stop:
        path.with_suffix(".begun").write_text(str(os.getpid()))
        if not stop.wait(LONG):
            return
        time.sleep(0.3)
        path.with_suffix(".saved").touch()
    raise StoppedError("one of several was stopped")


def work_without_ears(path: Path) -> None:
    """As what a training does before its first step."""
    path.with_suffix(".begun").touch()
    time.sleep(LONG)
    path.with_suffix(".saved").touch()


def fail_beside_another(path: Path) -> None:
    """The first item fails as soon as the second works."""
    if path.name != "0":
        return work_until_asked(path)
    wait_for(lambda: path.with_name("1.begun").exists())
    raise OSError("a full disk")


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + LONG
    while not happened() and time.monotonic() < end:
        time.sleep(0.01)


def names(folder: Path, suffix: str) -> list[str]:
    return sorted(path.name for path in folder.glob(f"*.{suffix}"))


def start_work(folder: Path, function: str) -> subprocess.Popen[str]:
    """A process with 2 workers and 5 items, when 2 of them have begun."""
    program = f"""
import signal, sys
from pathlib import Path
from sqcodec.errors import StoppedError
from sqcodec.pipeline.parallel import in_parallel
from tests.pipeline.test_parallel import {function}
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
items = [Path({str(folder)!r}) / str(number) for number in range(5)]
try:
    list(in_parallel({function}, items, jobs=2, backend="local", saves_itself=True))
except StoppedError as error:
    print(error)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
    )  # fmt: skip
    wait_for(lambda: len(names(folder, "begun")) == 2 or process.poll() is not None)
    return process


def lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("numbers", [[signal.SIGINT], [signal.SIGTERM], [signal.SIGTERM, signal.SIGTERM]])
def test_a_signal_lets_all_processes_save_and_begins_nothing(tmp_path: Path, send, numbers) -> None:
    process = start_work(tmp_path, "work_until_asked")
    for number in numbers:
        send(process.pid, number)
        time.sleep(0.1)
    said, _ = process.communicate(timeout=LONG / 2)
    assert said == "stopped, all saved; the same command goes on from here\n"
    assert names(tmp_path, "begun") == ["0.begun", "1.begun"]
    assert names(tmp_path, "saved") == ["0.saved", "1.saved"]
    assert not any(lives(int(path.read_text())) for path in tmp_path.glob("*.begun")), "none is left alone"


@pytest.mark.slow
@pytest.mark.parametrize(("send", "number"), [(os.kill, signal.SIGTERM), (os.killpg, signal.SIGINT)])
def test_a_signal_ends_work_that_has_nothing_to_save(tmp_path: Path, send, number) -> None:
    process = start_work(tmp_path, "work_without_ears")
    send(process.pid, number)
    said, _ = process.communicate(timeout=LONG / 2)
    assert said == "stopped, all saved; the same command goes on from here\n"
    assert (names(tmp_path, "begun"), names(tmp_path, "saved")) == (["0.begun", "1.begun"], [])


@pytest.mark.slow
def test_an_error_of_work_that_saves_itself_lets_the_rest_save(tmp_path: Path) -> None:
    items = [tmp_path / str(number) for number in range(5)]
    with pytest.raises(OSError, match="a full disk"):
        list(in_parallel(fail_beside_another, items, jobs=2, backend="local", saves_itself=True))
    assert (names(tmp_path, "begun"), names(tmp_path, "saved")) == (["1.begun"], ["1.saved"])


@pytest.mark.slow
def test_an_error_lets_other_processes_finish(tmp_path: Path) -> None:
    items = [tmp_path / str(number) for number in range(2)]
    with pytest.raises(OSError, match="a full disk"):
        list(in_parallel(finish_beside_a_failure, items, jobs=2, backend="local"))
    wait_for(lambda: names(tmp_path, "saved") == ["1.saved"])
    assert names(tmp_path, "saved") == ["1.saved"]


def finish_beside_a_failure(path: Path) -> None:
    if path.name == "0":
        wait_for(lambda: path.with_name("1.begun").exists())
        raise OSError("a full disk")
    path.with_suffix(".begun").touch()
    time.sleep(0.5)
    path.with_suffix(".saved").touch()
