"""One sound on every machine: instruction sets, threads, blocks, several threads of a program, after a fork."""

import multiprocessing
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.features.mel import extract
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.runtime import istft_vocoder
from sqcodec.vocoder.vocoder_header import read_header
from tests.conftest import speech_like

MODEL = SHIPPED / "speech16k" / "model.safetensors"
RUN = [sys.executable, "-m", "sqcodec.cli.main"]
# without the products of four and of eight numbers at a time of newer x86-64 processors; other processors ignore it
OLD_PROCESSOR = {
    "OPENBLAS_CORETYPE": "Nehalem",
    "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR",
    "ATEN_CPU_CAPABILITY": "default",
    "ONEDNN_MAX_CPU_ISA": "SSE41",
}
MOST = 10 ** (-80 / 20)  # RMS, -80 dB of full scale; measured: -115 dB, 16-bit rounding


def decoded(codes: Path, target: Path, environment: dict[str, str]) -> np.ndarray:
    command = [*RUN, "decode", codes, target, "--model", MODEL, "--vocoder", MODEL.parent / "vocoder"]
    subprocess.run(command, env=os.environ | environment, check=True, capture_output=True)
    return soundfile.read(target)[0]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*CPU features.*")
def test_instruction_sets_and_threads_change_no_sound(tmp_path: Path) -> None:
    codes = tmp_path / "a.sqc"
    soundfile.write(tmp_path / "a.wav", speech_like(12 * 16_000), 16_000)  # two windows of the vocoder
    subprocess.run([*RUN, "encode", tmp_path / "a.wav", codes, "--model", MODEL], check=True, capture_output=True)
    usual = decoded(codes, tmp_path / "usual.wav", {})
    for name, environment in {
        "old processor": OLD_PROCESSOR,
        "one thread": {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    }.items():
        other = decoded(codes, tmp_path / "other.wav", environment)
        assert len(other) == len(usual)
        assert np.sqrt(np.square(other - usual).mean()) < MOST, name


ROOT = Path(__file__).resolve().parents[3]
RENDER = """
import sys
import numpy as np
from tests.pipeline.coding.test_one_sound import rendered
np.save(sys.argv[1], rendered(int(sys.argv[2])))
"""


def rendered(iterations: int) -> np.ndarray:
    """Three seconds of the vocoder, with so many iterations of the refinement; the features are those of sound."""
    header = read_header(MODEL.parent / "vocoder" / "vocoder.safetensors")
    vocoder = istft_vocoder.NumpyIstftVocoder(header, iterations=iterations)
    features = extract(speech_like(3 * 16_000).astype(np.float32), vocoder.features)
    return np.concatenate(list(vocoder.render([features], 3 * 16_000)))


def decibels(one: np.ndarray, other: np.ndarray) -> float:
    """The RMS of a difference, dB of full scale."""
    return float(20 * np.log10(np.sqrt(np.square(one.astype(float) - other).mean()) + 1e-20))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*CPU features.*")
@pytest.mark.parametrize("iterations", [0, 16])
def test_instruction_sets_change_no_sound_with_refinement_and_without(tmp_path: Path, iterations: int) -> None:
    made = []
    for name, environment in {"new": {}, "old": OLD_PROCESSOR}.items():
        command = [sys.executable, "-c", RENDER, tmp_path / f"{name}.npy", str(iterations)]
        subprocess.run(command, env=os.environ | environment, cwd=ROOT, check=True, capture_output=True)
        made.append(np.load(tmp_path / f"{name}.npy"))
    assert decibels(*made) < -80  # measured: see docs/defects.md


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 16])
def test_blocks_of_any_size_change_no_sound(monkeypatch: pytest.MonkeyPatch, iterations: int) -> None:
    whole = rendered(iterations)  # one block of 20 s
    for frames in (37, 100):
        monkeypatch.setattr(istft_vocoder, "_FRAMES", frames)
        assert decibels(rendered(iterations), whole) < -80  # measured: see docs/defects.md


def make_sound(codec: Codec, seed: int) -> np.ndarray:
    codes = codec.encode(speech_like(16_000, seed=seed), sample_rate=16_000, codebooks=1 + seed % 3)
    return codec.decode(codes)


def made_in_a_child(codec: Codec, sender: "multiprocessing.connection.Connection") -> None:
    sender.send(make_sound(codec, 1))


@pytest.mark.slow
def test_several_threads_and_a_fork_get_the_same_as_alone() -> None:
    codec = open_codec(MODEL, "cpu")
    alone = [make_sound(open_codec(MODEL, "cpu"), seed) for seed in range(4)]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda seed: make_sound(codec, seed), range(4)))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=made_in_a_child, args=(codec, sender))
    child.start()
    assert receiver.poll(120), "the child is stuck"
    np.testing.assert_array_equal(receiver.recv(), alone[1])
    child.join()
