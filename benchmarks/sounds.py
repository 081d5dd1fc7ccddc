"""Where the bits go: to silence, unvoiced and voiced sounds, and to the stages of each."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqcodec import Codec, Codes
from sqcodec.bitstream import sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.context_coder import stage_bits
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import ModelError
from sqcodec.metrics.pitch import f0_track
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.pipeline.coding.rate_control import Goal

KINDS = ("silence", "unvoiced", "voiced")
_SILENT = 40.0  # dB below a recording's loudest 20 ms
_CODE = 320  # samples
_TRACKED = 4  # values of F0, every 5 ms, in a code


def measure(codec: Codec, recordings: Sequence[Path], bit_rate: int) -> dict[str, NDArray[np.float64]]:
    """The bits [T, K] of all codes of each kind of sound, at `--bitrate`; 0 where a code has fewer stages.

    Raises ModelError: no context model.
    """
    found: dict[str, list[NDArray[np.float64]]] = {kind: [] for kind in KINDS}
    for path in recordings:
        bits = bits_of(codec.encode_for(AudioSource(path), Goal(bit_rate=bit_rate)).codes, codec.space)
        kinds = kinds_of(AudioSource(path).read(METRIC_RATE), len(bits))
        bits = np.pad(bits, ((0, 0), (0, len(codec.space.codewords) - bits.shape[1])))
        for number, kind in enumerate(KINDS):
            found[kind].append(bits[kinds == number])
    return {kind: np.concatenate(parts) for kind, parts in found.items()}


def bits_of(codes: Codes, space: CodeSpace) -> NDArray[np.float64]:
    """What each stage of each code costs in a file: [T, K]. Raises ModelError: no context model."""
    if space.context is None:
        raise ModelError("the model has no context model; measure one that has, such as speech16k")
    parts = [sqc.part_of(codes, block) for block in sqc.blocks(codes.indices.shape[1])]
    return np.concatenate(stage_bits(parts, space.context, stops=codes.stages is not None))


def kinds_of(samples: NDArray[np.float32], length: int) -> NDArray[np.int64]:
    """The kind [length], an index of `KINDS`, of each code of a recording at 16 kHz.

    Silence: 40 dB below the loudest code; voiced: F0 in half of the code or more.
    """
    whole = np.zeros(length * _CODE)
    whole[: len(samples)] = samples[: len(whole)]
    power = np.square(whole.reshape(length, _CODE)).mean(axis=1)
    silent = power < power.max() * 10 ** (-_SILENT / 10)
    track = np.zeros(length * _TRACKED)
    f0 = f0_track(samples)[: len(track)]
    track[: len(f0)] = f0
    voiced = (track > 0).reshape(length, _TRACKED).mean(axis=1) >= 0.5
    return np.where(silent, 0, np.where(voiced, 2, 1))


def table(found: dict[str, NDArray[np.float64]], bit_rate: int) -> str:
    """Shares, stages and bits in Markdown."""
    every = np.concatenate(list(found.values()))
    depth = int((every > 0).any(axis=0).sum())
    stages = " | ".join(str(stage + 1) for stage in range(depth))
    lines = [f"| {bit_rate} bit/s | of time | of bits | bit/s | symbols a code | {stages} |",
             "|---" * (5 + depth) + "|"]  # fmt: skip
    for kind, bits in {**found, "all": every}.items():
        if len(bits):
            lines.append(f"| {kind} | {_row(bits, every, depth)} |")
    return "\n".join(lines)


def _row(bits: NDArray[np.float64], every: NDArray[np.float64], depth: int) -> str:
    coded = bits[:, :depth] > 0
    means = bits[:, :depth].sum(axis=0) / coded.sum(axis=0).clip(1)
    cells = [f"{100 * len(bits) / len(every):.0f} %", f"{100 * bits.sum() / every.sum():.0f} %",
             f"{bits.sum() / len(bits) * METRIC_RATE / _CODE:.0f}", f"{coded.sum(axis=1).mean():.2f}"]  # fmt: skip
    cells += [f"{mean:.2f}" if mean else "" for mean in means]
    return " | ".join(cells)
