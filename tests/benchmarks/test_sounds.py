"""Bits by kind of sound: kinds of known sounds, every bit counted once."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import sqcodec
from benchmarks.sounds import KINDS, bits_of, kinds_of, measure, table
from sqcodec.bitstream import sqc

SHIPPED = Path(sqcodec.__file__).parent / "models" / "speech16k" / "model.safetensors"


def three_sounds():
    """0.5 s of silence, of noise, and of a 150 Hz pulse train, at 16 kHz: 25 codes each."""
    random = np.random.default_rng(0)
    pulses = np.zeros(8000)
    pulses[::107] = 0.9
    pulses = np.convolve(pulses, np.exp(-np.arange(60) / 12), mode="same")
    return np.concatenate([np.zeros(8000), 0.1 * random.normal(size=8000), pulses]).astype(np.float32)


def test_kinds_of_known_sounds():
    kinds = kinds_of(three_sounds(), 75)
    for number, part in enumerate((kinds[2:23], kinds[27:48], kinds[52:73])):  # two codes from each edge: windows of F0
        assert (part == number).mean() >= 0.9, KINDS[number]


def test_the_bits_are_those_of_the_file(tmp_path):
    codec = sqcodec.load(SHIPPED, device="cpu")
    sound = three_sounds()
    soundfile.write(tmp_path / "a.wav", sound, 16000, subtype="FLOAT")
    codes = codec.encode(sound, 16000, bitrate=1200)
    bits = bits_of(codes, codec.space)
    # the header has 15 bytes, the checksum 24 bits, whose first ones may be 0, and the last byte is begun
    assert -8 < 8 * len(sqc.pack(codes, codec.space)) - bits.sum() - 8 * 15 - 24 < 8 + 8
    assert ((bits > 0).sum(axis=1) >= codes.stages).all()
    found = measure(codec, [tmp_path / "a.wav"], 1200)
    assert sum(len(part) for part in found.values()) == len(bits)
    assert sum(part.sum() for part in found.values()) == pytest.approx(bits.sum())
    shown = table(found, 1200).splitlines()
    assert shown[0].startswith("| 1200 bit/s | of time | of bits | bit/s | symbols a code | 1 | 2 |")
    assert [line.split(" | ")[0] for line in shown[2:]] == ["| silence", "| unvoiced", "| voiced", "| all"]
