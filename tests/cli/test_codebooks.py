"""A model of several codebooks on the command line: all of them, or as many as wanted."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import sqcodec
from sqcodec import Codec, Codes
from sqcodec.bitstream.entropy_tables import count
from sqcodec.bitstream.npy import read_codes
from sqcodec.errors import CodesError
from sqcodec.model.model_file import add_tables
from tests.cli.runner import CHOSEN, refused, run
from tests.conftest import make_model, speech_like

RESIDUAL = (
    "quantizer={kind: residual, stages: 3, codewords: 16, dim: 4,"
    " initial_variance: 10.0, ratio: 0.25, dropout: 0.5, warmup_steps: 0, freeze_step: null}"
)
TINY = Path("runs/tiny/model.safetensors")


@pytest.fixture
def residual(workplace: Path) -> Path:
    """A working folder whose model has three codebooks of 16 codewords, and tables."""
    make_model(TINY, RESIDUAL)
    codec = sqcodec.load(TINY)
    codes = [codec.encode(speech_like(160_000, seed=seed), 16000, speaker="s5").indices for seed in range(2)]
    tables = count(codes, (16,) * 3)
    add_tables(TINY, TINY, tables.to_arrays(), tables.digest)
    return workplace


def test_a_bit_rate_below_one_codebook_is_refused(residual: Path) -> None:
    lowest = "the lowest of runs/tiny is 200 bit/s"
    assert refused("encode", "in.wav", "out.sqc", "--bitrate", "100") == f"Error: --bitrate 100: {lowest}\n"
    make_model(TINY, RESIDUAL, "bit_rate=150")
    assert refused("encode", "in.wav", "out.sqc") == f"Error: recipe vctk: bit_rate 150: {lowest}\n"


@pytest.mark.parametrize(
    ("option", "books"), [([], 3), (["--codebooks", "2"], 2), (["--bitrate", "250"], 1), (["--bitrate", "400"], 2),
                          (["--bitrate", "9999"], 3)],
)  # fmt: skip
def test_number_of_codebooks_and_bit_rate(residual: Path, option, books) -> None:
    result = run("encode", "in.wav", "out.sqc", "--speaker", "s5", *option)
    assert result.exit_code == 0, result.output
    size = Path("out.sqc").stat().st_size
    assert result.stdout == (
        f"out.sqc: 2.50 s, {126 * books} codes, {size} bytes: {8 * size / 2.5:.0f} bit/s (nominal {200 * books}),"
        f" speaker s5, {CHOSEN}\n"
    )
    assert run("encode", "in.wav", "out.npy", "--speaker", "s5", *option).exit_code == 0
    samples = soundfile.read("in.wav", dtype="float32")[0]
    wanted = sqcodec.load(TINY).encode(
        samples, 16000, speaker="s5", codebooks=books
    )  # searched for as many as are sent
    assert np.array_equal(np.load("out.npy"), wanted.indices)
    found = json.loads(run("inspect", "out.sqc", "--json").stdout)
    assert len(found["books"]) == books
    assert found["nominal_bit_rate"] == 200 * books
    for name in ("out.sqc", "out.npy"):
        assert run("decode", name, f"{name}.wav").exit_code == 0
    assert soundfile.info("out.sqc.wav").frames == 40_000
    codec = sqcodec.load(TINY)
    assert np.array_equal(codec.unpack(Path("out.sqc").read_bytes()).indices, read_codes(Path("out.npy")).indices)


def test_folders_take_a_number_of_codebooks(residual: Path) -> None:
    Path("in").mkdir()
    Path("in.wav").rename("in/a.wav")
    assert run("encode", "in", "out", "--codebooks", "2", "--format", "npy").exit_code == 0
    assert np.load("out/a.npy").shape == (2, 126)


def test_perturb_stays_within_each_codebook(residual: Path) -> None:
    assert run("perturb", "in.wav", "out.wav", "--speaker", "s5", "--neighbours", "1").exit_code == 0


def test_more_codebooks_than_the_model_has_are_refused(residual: Path) -> None:
    note = "no --model given: using the newest run, runs/tiny\n"
    assert refused("encode", "in.wav", "x.sqc", "--codebooks", "4").removeprefix(note) == (
        f"Error: --codebooks 4: {TINY.parent} has 3\n"
    )
    assert refused("encode", "in.wav", "x.sqc", "--bitrate", "199").removeprefix(note) == (
        f"Error: --bitrate 199: the lowest of {TINY.parent} is 200 bit/s\n"
    )
    assert "give one of them." in refused(
        "encode", "in.wav", "x.sqc", "--codebooks", "1", "--bitrate", "9", exit_code=2
    )
    np.save("many.npy", np.zeros((4, 10), np.uint16))
    assert refused("decode", "many.npy", "x.wav", "--speaker", "s5") == (
        "Error: many.npy: got 4 rows of codes, expected 1 to 3\n"
    )


def test_python_and_the_command_line_code_alike(residual: Path) -> None:
    """One default for every verb: the recipe's bit rate of 400 is two of the three codebooks."""
    make_model(TINY, RESIDUAL, "bit_rate=400")
    codec = sqcodec.load(TINY)
    samples = soundfile.read("in.wav", dtype="float32")[0]
    assert run("encode", "in.wav", "out.npy", "--speaker", "s5").exit_code == 0
    indices = np.load("out.npy", allow_pickle=False)
    assert len(indices) == 2
    assert np.array_equal(codec.encode(samples, 16000, speaker="s5").indices, indices)
    assert np.array_equal(codec.encode(samples, 16000, speaker="s5", bitrate=400).indices, indices)
    assert len(codec.encode(samples, 16000, speaker="s5", bitrate=600).indices) == 3
    assert run("convert", "in.wav", "out.wav", "--speaker", "s5").exit_code == 0
    samples_of_two = codec.decode(codec.encode(samples, 16000, codebooks=2), speaker="s5")
    assert np.abs(soundfile.read("out.wav")[0] - samples_of_two).max() < 2**-15  # 16-bit samples
    with pytest.raises(CodesError, match="exclude each other"):
        codec.encode(samples, 16000, codebooks=2, bitrate=400)


@pytest.mark.parametrize("words", ["perturb in.wav out.wav", "morph in.wav in.wav out.wav --steps 2"])
def test_every_verb_has_this_default(residual: Path, monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    make_model(TINY, RESIDUAL, "bit_rate=400")
    decoded: list[int] = []
    blocks = Codec.decode_blocks

    def watched(codec: Codec, codes: Codes, **options: Any) -> Iterator[np.ndarray]:
        decoded.append(len(codes.indices))
        return blocks(codec, codes, **options)

    monkeypatch.setattr(Codec, "decode_blocks", watched)
    assert run(*words.split()).exit_code == 0
    assert set(decoded) == {2}
