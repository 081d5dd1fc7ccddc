"""`sqcodec convert`, `morph` and `perturb`."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import sqcodec
from sqcodec.pipeline.coding import manipulation
from sqcodec.pipeline.coding.manipulation import nearest_codewords
from tests.cli.runner import CHOSEN, refused, run
from tests.conftest import speech_like


@pytest.fixture
def pair(workplace: Path) -> Path:
    soundfile.write("b.wav", 0.25 * speech_like(56_000, seed=1), 16000)
    return workplace


def test_convert_is_decoding_with_another_speaker(pair: Path) -> None:
    result = run("convert", "in.wav", "out.wav", "--speaker", "p226")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"out.wav: 2.50 s at 16000 Hz, speaker p226, {CHOSEN}\n"
    assert result.stderr == ""
    assert run("encode", "in.wav", "codes.npy", "--speaker", "s5").exit_code == 0
    assert run("decode", "codes.npy", "other.wav", "--speaker", "p226").exit_code == 0
    assert Path("out.wav").read_bytes() == Path("other.wav").read_bytes()


def test_notes_on_the_recordings_and_on_the_sound_are_printed(pair: Path) -> None:
    sound = np.stack([speech_like(40_000), speech_like(40_000, seed=1)], axis=1)
    soundfile.write("loud.wav", 40_000 * sound, 16000, subtype="FLOAT")
    mixed = "loud.wav: 2 channels were mixed down to one\n"
    loud = "loud.wav: samples up to 20691, where full scale is 1; integers that were saved as floats? They are clipped"
    notes = f"{mixed}{loud} when they are decoded\n"
    for arguments, times in (("convert loud.wav", 1), ("morph loud.wav loud.wav", 2)):
        result = run(*arguments.split(), "out.wav", "--speaker", "p226")
        assert result.stderr.startswith(times * notes + "out.wav: ")
        assert result.stderr.endswith(" samples were beyond full scale and were clipped\n")
    result = run("vocode", "loud.wav", "out.wav", "--vocoder", "griffin-lim")
    assert result.stderr.startswith(notes + "out.wav: ")


def test_convert_through_a_pipe(pair: Path) -> None:
    piped = run("convert", "-", "-", "--speaker", "p226", stdin=Path("in.wav").read_bytes())
    assert run("convert", "in.wav", "out.wav", "--speaker", "p226").exit_code == 0
    assert piped.stdout_bytes == Path("out.wav").read_bytes()


def test_perturb_takes_codewords_among_the_nearest(pair: Path, monkeypatch) -> None:
    seen = []
    decode = sqcodec.Codec.decode_blocks
    monkeypatch.setattr(
        sqcodec.Codec, "decode_blocks", lambda self, codes, **rest: seen.append(codes) or decode(self, codes, **rest)
    )
    for seed in (0, 0, 1):
        arguments = ("perturb", "in.wav", "out.wav", "--neighbours", "3", "--speaker", "s5", "--seed", seed)
        assert run(*arguments).exit_code == 0
    codec = sqcodec.load("runs/tiny")
    codes = codec.encode(soundfile.read("in.wav", dtype="float32")[0], 16000, speaker="s5").indices[0]
    book = codec.model.quantizer.codebook.detach().double().numpy()
    distance = np.square(book[:, None] - book).sum(-1)
    np.fill_diagonal(distance, np.inf)
    rank = distance.argsort(1, kind="stable").argsort(1)
    ranks = rank[codes, seen[0].indices[0]]
    assert set(ranks) == {0, 1, 2}  # each of the three comes, no other, and never the code itself
    assert np.array_equal(seen[0].indices, seen[1].indices)
    assert not np.array_equal(seen[0].indices, seen[2].indices)


def test_nearest_codewords_match_brute_force(workplace: Path) -> None:
    codec = sqcodec.load("runs/tiny")
    with torch.no_grad():
        codec.model.quantizer.codebook.copy_(torch.arange(16.0)[:, None].expand(-1, 4) ** 2)  # 0, 1, 4, 9, 16...
    assert nearest_codewords(codec, 2)[0, :3].tolist() == [[1, 2], [0, 2], [1, 0]]


def test_a_morph_starts_and_ends_with_the_recordings(pair: Path) -> None:
    result = run("morph", "in.wav", "b.wav", "out.wav", "--steps", "3", "--speaker", "s5")
    assert result.exit_code == 0, result.output
    lengths = [40_000, 48_000, 56_000]
    total = sum(lengths) + 2 * 4000
    assert result.stdout == f"out.wav: {total / 16000:.2f} s at 16000 Hz, speaker s5, {CHOSEN}\n"
    sound = soundfile.read("out.wav", dtype="int16")[0]
    assert len(sound) == total
    assert not sound[40_000:44_000].any()
    for name, part in (("in.wav", sound[:40_000]), ("b.wav", sound[-56_000:])):
        assert run("convert", name, "end.wav", "--speaker", "s5").exit_code == 0
        assert np.array_equal(soundfile.read("end.wav", dtype="int16")[0], part)


def test_a_morph_quantises_the_mixed_latents(pair: Path) -> None:
    codec = sqcodec.load("runs/tiny")
    ends = [manipulation._Latents.of(codec, Path(name), "s5", name) for name in ("in.wav", "b.wav")]
    halfway = manipulation._interpolate(codec, *ends, 0.5)
    assert halfway.samples == 48_000
    assert halfway.gain == pytest.approx((ends[0].codes.gain * ends[1].codes.gain) ** 0.5)
    mixed = [
        np.array([np.interp(np.linspace(0, len(x) - 1, 151), np.arange(len(x)), x) for x in end.encoded[0].T.numpy()])
        for end in ends
    ]
    encoded = torch.from_numpy((0.5 * mixed[0] + 0.5 * mixed[1]).T[None]).float()
    expected = codec.model.quantizer.encode(encoded)[0].numpy()
    assert (halfway.indices == expected).mean() > 0.98  # float32 against float64 near ties


def test_wrong_arguments_are_refused(pair: Path) -> None:
    soundfile.write("long.wav", speech_like(16000 * 61), 16000)
    assert refused("morph", "in.wav", "long.wav", "out.wav") == (
        "Error: long.wav: got 61 s, expected at most 60 s to morph; cut it first\n"
    )
    assert refused("perturb", "in.wav", "out.wav", "--neighbours", "16") == (
        "Error: --neighbours 16: expected 1 to 15; the codebook has 16 codewords\n"
    )
    assert refused("convert", "in.wav", "out.wav", "--speaker", "p9").startswith("Error: speaker 'p9': unknown")
    assert refused("convert", "in.wav", "out.txt", "--speaker", "s5") == (
        "Error: out.txt: unknown suffix '.txt', expected one of: .wav, .flac, .ogg\n"
    )
    before = Path("in.wav").read_bytes()
    for arguments in (("in.wav", "b.wav", "in.wav"), ("b.wav", "in.wav", "in.wav")):
        assert refused("morph", *arguments) == (
            "Error: in.wav: input and output are the same file; write to another name\n"
        )
    assert Path("in.wav").read_bytes() == before
    assert "nan is not a number" in refused("generate", "out", "--top-p", "nan", exit_code=2)
    assert "Missing option '--speaker'" in refused("convert", "in.wav", "out.wav", exit_code=2)
    assert "Invalid value for '--steps'" in refused("morph", "a", "b", "c.wav", "--steps", "1", exit_code=2)


def test_a_morph_from_or_to_silence_is_heard(pair: Path) -> None:
    assert manipulation._gain(0.5, 0.0, 0.25, in_codes=False) == pytest.approx(0.375)
    assert manipulation._gain(0.5, 0.125, 0.5, in_codes=False) == pytest.approx(0.25)  # -6 and -18 dB: -12 dB
    assert manipulation._gain(1.0, 0.0, 0.5, in_codes=True) == 1.0
    assert manipulation._gain(0.0, 0.0, 0.5, in_codes=True) == 0.0
