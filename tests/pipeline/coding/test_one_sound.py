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

from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
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


def make_sound(codec: Codec, seed: int) -> np.ndarray:
    codes = codec.encode(speech_like(16_000, seed=seed), sample_rate=16_000, codebooks=1 + seed % 3)
    return codec.decode(codes)


def made_in_a_child(codec: Codec, sender: "multiprocessing.connection.Connection") -> None:
    sender.send(make_sound(codec, 1))


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
