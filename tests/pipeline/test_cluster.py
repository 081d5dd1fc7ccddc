"""prep, encode, export and evaluate on a real Dask cluster of two workers here: the same files, the same bytes."""

import contextlib
import os
import signal
import sys
from functools import partial

import pytest
import soundfile
from click.testing import CliRunner

from sqcodec.cli.main import main
from sqcodec.errors import SqcodecError
from sqcodec.pipeline.coding import folder_record
from sqcodec.pipeline.parallel import _in_folder, in_parallel
from tests.conftest import make_model, speech_like
from tests.pipeline.cluster_work import die_once

distributed = pytest.importorskip("distributed", reason="the cluster extra is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("default")]  # distributed's own


@pytest.fixture(scope="module")
def cluster():
    """Two workers, each a process of one thread."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with contextlib.suppress(TimeoutError), distributed.LocalCluster(host="127.0.0.1", **options) as made:
        yield made


@pytest.fixture
def recordings(tmp_path):
    folder = tmp_path / "recordings"
    for number in range(6):
        path = folder / f"s{number % 2}" / f"u{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech_like(12_000 + 800 * number, seed=number), 16000)
    make_model(tmp_path / "model.safetensors", speakers=("s0", "s1"))
    return folder


def invoke(*arguments) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def contents(folder):
    """Bytes of each file by its path; the record of a folder holds times and paths of its own."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name != folder_record.NAME]
    return {path.relative_to(folder): path.read_bytes() for path in files}


def test_prep_encode_and_decode_write_the_same_bytes(cluster, recordings, tmp_path) -> None:
    there = ("--backend", "dask", "--scheduler", cluster.scheduler_address)
    model = ("--model", tmp_path / "model.safetensors", "--device", "cpu")
    for name, where in {"here": (), "there": there}.items():
        invoke("prep", "folder", "--data", recordings, "--out", tmp_path / name / "store", "--jobs", 1, *where)
        invoke("encode", recordings, tmp_path / name / "codes", *model, *where)
        invoke("decode", tmp_path / name / "codes", tmp_path / name / "sound", *model, *where)
    here, over_there = contents(tmp_path / "here"), contents(tmp_path / "there")
    assert sum(path.suffix == ".sqc" for path in here) == 6
    assert here == over_there


def test_export_writes_the_same_shards(cluster, recordings, tmp_path) -> None:
    there = ("--backend", "dask", "--scheduler", cluster.scheduler_address)
    model = ("--model", tmp_path / "model.safetensors", "--device", "cpu", "--shard", 4)
    for name, where in {"here": (), "there": there}.items():
        invoke("export", recordings, tmp_path / name, *model, *where)
    shards = [
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("codes-*")} for name in ("here", "there")
    ]
    assert len(shards[0]) == 2
    assert shards[0] == shards[1]


def test_evaluate_gives_the_same_scores(cluster, recordings, tmp_path) -> None:
    there = ("--backend", "dask", "--scheduler", cluster.scheduler_address)
    for name, where in {"here": (), "there": there}.items():
        given = ("--data", recordings, "--out", tmp_path / name, "--listen", 1)
        invoke("evaluate", tmp_path / "model.safetensors", *given, *where)
    rows = [(tmp_path / name / "scores.jsonl").read_text("utf-8") for name in ("here", "there")]
    assert rows[0] == rows[1]
    assert len(rows[0].splitlines()) == 6


def test_workers_work_in_the_folder_of_the_command(cluster, recordings, tmp_path, monkeypatch) -> None:
    """Models, vocoders and judges have the relative paths that the user gave."""
    there = ("--backend", "dask", "--scheduler", cluster.scheduler_address)
    monkeypatch.chdir(tmp_path)
    invoke("encode", "recordings", "codes", "--model", "model.safetensors", "--device", "cpu", *there)
    invoke("decode", "codes", "sound", "--model", "model.safetensors", "--device", "cpu", *there)
    invoke("score", "recordings", "sound", *there)
    given = ("--data", "recordings", "--out", "scores")
    invoke("evaluate", "model.safetensors", *given, "--listen", 1, *there)
    assert len((tmp_path / "scores" / "scores.jsonl").read_text("utf-8").splitlines()) == 6
    with pytest.raises(SqcodecError, match=r"no-such: a worker cannot go there \(No such file or directory\); all"):
        _in_folder("no-such", abs, 1)


def test_a_cluster_without_work_is_not_asked(monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.parallel._TIMEOUT", 1)
    assert list(in_parallel(abs, [], jobs=1, backend="tcp://127.0.0.1:9")) == []


def test_what_kills_every_worker_is_one_error(cluster) -> None:
    import dask

    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        distributed.LocalCluster(host="127.0.0.1", n_workers=1, threads_per_worker=1, dashboard_address=None) as own,
        pytest.raises(SqcodecError, match="workers of the cluster ended again and again before their work"),
    ):
        list(in_parallel(os._exit, [1], jobs=1, backend=own.scheduler_address))


@pytest.mark.parametrize("address", ["tls://127.0.0.1:9", "ucx://127.0.0.1:9", "nothing://x"])
def test_what_is_no_address_is_an_error(address, monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.parallel._TIMEOUT", 1)
    with pytest.raises(SqcodecError, match=f"^`scheduler` {address}: got no answer within 1 s"):
        list(in_parallel(abs, [1], jobs=1, backend=address))


def test_the_address_in_dasks_settings_is_named(monkeypatch) -> None:
    import dask

    monkeypatch.setattr("sqcodec.pipeline.parallel._TIMEOUT", 1)
    with (
        dask.config.set({"scheduler-address": "tcp://127.0.0.1:9"}),
        pytest.raises(SqcodecError, match="^DASK_SCHEDULER_ADDRESS tcp://127.0.0.1:9: got no answer within 1 s"),
    ):
        list(in_parallel(abs, [1], jobs=1, backend="dask"))


def test_work_of_a_dead_worker_is_repeated(cluster, tmp_path) -> None:
    mark = tmp_path / "died"
    before = {worker.pid for worker in cluster.workers.values()}
    work = partial(die_once, mark=str(mark))
    found = in_parallel(work, range(12), jobs=2, backend=cluster.scheduler_address)
    assert sorted(found) == [number**2 for number in range(12)]
    assert mark.exists()
    assert {worker.pid for worker in cluster.workers.values()} != before


def test_encode_with_a_worker_killed(cluster, recordings, tmp_path) -> None:
    """One of the two is gone as the work begins; every file is there, and as it is without a cluster."""
    model = ("--model", tmp_path / "model.safetensors", "--device", "cpu", "--quiet")
    invoke("encode", recordings, tmp_path / "whole", *model)
    os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
    invoke("encode", recordings, tmp_path / "killed", *model, "--backend", "dask", "--scheduler",
           cluster.scheduler_address)  # fmt: skip
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")


def test_an_unreachable_scheduler_is_an_error(monkeypatch) -> None:
    monkeypatch.setattr("sqcodec.pipeline.parallel._TIMEOUT", 1)
    with pytest.raises(
        SqcodecError, match=r"^`scheduler` tcp://127.0.0.1:9: got no answer within 1 s, expected a Dask"
    ):
        list(in_parallel(abs, [1], jobs=1, backend="tcp://127.0.0.1:9"))


def test_scheduler_without_backend_dask_is_a_usage_error(tmp_path) -> None:
    result = CliRunner().invoke(main, ["prep", "folder", "--scheduler", "tcp://127.0.0.1:9"])
    assert result.exit_code == 2
    assert "--scheduler is for --backend dask." in result.output
    assert sys.modules["distributed"]
