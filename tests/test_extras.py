"""Coding without the packages of the extras, and what commands say where one is missing."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import soundfile

from sqcodec.bitstream.shard_file import check_format
from sqcodec.errors import SqcodecError
from sqcodec.extras import MODULES, missing, required
from tests.conftest import make_model, speech_like

ROOT = Path(__file__).resolve().parent.parent
HIDDEN = f"""
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {sorted(MODULES)}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""
COMMAND = f"{HIDDEN}\nfrom sqcodec.cli.main import main\nmain()"


def run(*arguments: str, code: str = COMMAND) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, env={**os.environ}
    )


def test_every_package_of_an_extra_has_its_module() -> None:
    """So that a package that moves to an extra gets its message."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    module = {"lightning-fabric": "lightning_fabric", "pillow": "PIL", "pyyaml": "yaml"}
    packages = {
        name: {each.partition(">")[0].partition("=")[0] for each in extras[name] if not each.startswith("sqcodec")}
        for name in ("train", "eval", "export", "cluster")
    }
    assert {(module.get(each, each), name) for name in packages for each in packages[name]} == set(MODULES.items())
    assert extras["all"] == ["sqcodec[train,eval,export,cluster]"]


def test_parquet_needs_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SqcodecError, match=r"pyarrow, which is not installed; .* pip install '\.\[export\]'"):
        check_format("parquet")
    check_format("jsonl")


def test_another_module_that_is_missing_is_no_extra_s() -> None:
    assert missing(ModuleNotFoundError("No module named 'nonsense'", name="nonsense")) is None
    with pytest.raises(ModuleNotFoundError), required():
        raise ModuleNotFoundError("No module named 'nonsense'", name="nonsense")
    with (
        pytest.raises(SqcodecError, match=r"torch, which is not installed; .* pip install '\.\[train\]'"),
        required(),
    ):
        raise ModuleNotFoundError("No module named 'torch.nn'", name="torch.nn")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a recording; what ships is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    Path("in").mkdir()
    for number in range(2):
        soundfile.write(f"in/{number}.wav", speech_like(24_000, rate=24_000, seed=number), 24_000)
    return tmp_path


@pytest.mark.slow
def test_the_everyday_commands_need_no_extra(folder: Path) -> None:
    for arguments in (
        ("encode", "in/0.wav", "a.sqc"),
        ("encode", "in/0.wav", "a.npy", "--bitrate", "3200"),
        ("inspect", "a.sqc"),
        ("decode", "a.sqc", "a.wav", "--rate", "24000"),
        ("encode", "in", "codes", "--jobs", "2"),
        ("decode", "codes", "out", "--jobs", "2"),
        ("vocode", "in/0.wav", "v.wav"),
        ("models", "speech16k"),
        ("export", "in", "tokens", "--jobs", "2"),
        ("export", "in", "tars", "--to", "webdataset"),
        ("decode", "tokens/codes-00000.jsonl.gz", "row.wav", "--row", "1"),
    ):
        done = run(*arguments)
        assert done.returncode == 0, (arguments, done.stderr)  # folders print which model they use
    assert soundfile.info("a.wav").frames == 24_000
    assert soundfile.info("v.wav").frames == 16_000
    assert len(list(Path("out").glob("*.wav"))) == 2


@pytest.mark.slow
def test_python_needs_no_extra(folder: Path) -> None:
    program = f"""{HIDDEN}
import numpy as np, sqcodec
codec = sqcodec.load()
codes = codec.encode(np.zeros(16000, np.float32) + 0.1, sample_rate=16000)
sound = codec.decode(codec.unpack(codec.pack(codes)))
print(sound.shape, sorted({{"torch", "scipy", "librosa", "pydantic", "yaml"}} & sys.modules.keys()))
"""
    done = run(code=program)
    assert (done.stdout, done.stderr) == ("(16000,) []\n", "")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "package"),
    [
        (("train", "vctk"), "(pydantic|yaml)"),
        (("recipe", "list"), "(pydantic|yaml)"),
        (("decode", "a.npy", "a.wav", "--vocoder", "griffin-lim"), "(pydantic|yaml)"),
        (("decode", "a.npy", "a.wav", "--device", "cuda"), "torch"),
        (("encode", "in/0.wav", "b.sqc", "--model", "paper.safetensors"), "torch"),
        (("perturb", "in/0.wav", "b.wav"), "torch"),
        (("inspect", "a.npy", "--plot", "a.png"), "matplotlib"),
        (("evaluate", "speech16k", "--data", "in", "--out", "scores"), "torch"),
    ],
)
def test_a_command_says_which_extra_it_needs(folder: Path, arguments: tuple[str, ...], package: str) -> None:
    make_model(folder / "paper.safetensors")
    assert run("encode", "in/0.wav", "a.npy").returncode == 0
    done = run(*arguments)
    assert done.returncode == 1
    assert re.fullmatch(
        f"Error: this needs the package {package}, which is not installed; in a checkout of sqcodec,"
        r" pip install '\.\[train\]' brings it\n",
        done.stderr,
    ), done.stderr
