"""The sdist and the wheel: built as for a release, used outside the checkout."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import soundfile

import sqcodec

ROOT = Path(__file__).resolve().parent.parent
RUN = "import sys; from sqcodec.cli.main import main; sys.argv[0] = 'sqcodec'; main()"

pytestmark = pytest.mark.slow


def build(source: Path, target: Path, kind: str) -> Path:
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", target]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (made,) = target.glob("*.whl" if kind == "wheel" else "*.tar.gz")
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked sdist of this checkout."""
    folder = tmp_path_factory.mktemp("sdist")
    with tarfile.open(build(ROOT, folder / "dist", "sdist")) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"sqcodec-{sqcodec.__version__}"


@pytest.fixture(scope="module")
def site(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist makes, unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(build(sdist, folder / "dist", "wheel")) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def run(site: Path, folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    settings = {**os.environ, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RUN, *words]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, check=False)


def test_the_sdist_holds_what_developers_need(sdist: Path) -> None:
    for name in ("sqcodec", "recipes", "benchmarks", "bin", "tests", "docs", "LICENSE", "requirements.lock"):
        assert (sdist / name).exists(), name
    assert (sdist / "sqcodec" / "models" / "speech16k-1" / "model.safetensors").is_file()
    assert not list(sdist.rglob("__pycache__"))


def test_the_wheel_codes_outside_the_checkout(site: Path, tmp_path: Path) -> None:
    where = "import sqcodec; print(sqcodec.__file__)"
    settings = {**os.environ, "PYTHONPATH": str(site)}
    found = subprocess.run([sys.executable, "-c", where], cwd=tmp_path, env=settings, capture_output=True, text=True)
    assert Path(found.stdout.strip()).is_relative_to(site), found.stderr
    speech = max(
        (site / "sqcodec" / "recipes" / "tiny" / "speech").rglob("*.flac"), key=lambda path: path.stat().st_size
    )
    for words in (("encode", str(speech), "codes.sqc"), ("decode", "codes.sqc", "out.wav")):
        done = run(site, tmp_path, *words)
        assert done.returncode == 0, done.stderr
        assert "model speech16k" in done.stdout
    assert (tmp_path / "out.wav").stat().st_size > 10_000


def test_the_wheel_has_no_older_model_and_says_where_it_is(site: Path, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", [0.0] * 16000, 16000)
    asked = run(site, tmp_path, "encode", "in.wav", "codes.sqc", "--model", "speech16k-1")
    assert asked.returncode == 1
    assert "speech16k-1 is not in the wheel: take sqcodec/models/speech16k-1/model.safetensors" in asked.stderr


def test_the_wheel_has_its_recipes(site: Path, tmp_path: Path) -> None:
    listed = run(site, tmp_path, "recipe", "list")
    assert listed.returncode == 0, listed.stderr
    assert {"vctk", "speech16k", "istft"} <= {line.split()[0].rstrip(":") for line in listed.stdout.splitlines()}
