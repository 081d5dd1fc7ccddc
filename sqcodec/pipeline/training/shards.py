"""One shard of a feature store: read, check and analyse its recordings. The work of one process of `prep`."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus import store
from sqcodec.corpus.audio import AudioSource
from sqcodec.corpus.splits import Utterance
from sqcodec.corpus.store import Report, StoredUtterance
from sqcodec.corpus.variations import read_varied
from sqcodec.errors import AudioError
from sqcodec.features.mel import extract
from sqcodec.spectrogram import PEAK, FeatureConfig

UTTERANCES_A_SHARD = 64  # the most that an interruption loses per process
_SHORTEST = 0.025  # seconds, one analysis window of the paper
SILENCE = 1e-4  # peak; -80 dB of full scale


@dataclass(frozen=True)
class ShardTask:
    """The utterances of one shard, and the settings to make it."""

    shard: Path
    utterances: tuple[Utterance, ...]
    config: FeatureConfig
    usual_rates: frozenset[int]
    device: str
    threads: int | None


def shortest(config: FeatureConfig) -> int:
    """The least number of samples of a recording."""
    return round(_SHORTEST * config.sample_rate)


def make_shard(task: ShardTask) -> tuple[int, list[Report]]:
    """Write the shard. Returns the number of its utterances, skipped ones included, and reports on them."""
    if task.threads:
        torch.set_num_threads(task.threads)
    reports: list[Report] = []
    store.write_shard(task.shard, _stored(task, reports), reports)
    return len(task.utterances), reports


def _stored(task: ShardTask, reports_: list[Report]) -> Iterator[StoredUtterance]:
    """Read and analyse each recording; reports go into `reports_`."""
    for utterance in task.utterances:
        try:
            source = AudioSource(utterance.path)
            if utterance.variation:
                samples = read_varied(source, task.config.sample_rate, utterance.variation)
            else:
                samples = source.read(task.config.sample_rate)
            peak = _checked_peak(samples, utterance.path, task.config)
        except AudioError as error:
            reports_.append(_left_out(utterance, str(error)))
            continue
        if not utterance.variation:
            reports_ += _remarks(utterance.name, source, task)
        features = extract(torch.from_numpy(samples).to(task.device), task.config).cpu().numpy()
        gain = peak / PEAK
        yield StoredUtterance(utterance.name, utterance.speaker, features, samples / np.float32(gain), gain)


def _left_out(utterance: Utterance, text: str) -> Report:
    """text: of the error, which names a noise or a room where it is theirs."""
    if utterance.variation:
        return Report(utterance.name, "no copy", text, skipped=True)
    reason, _, detail = text.removeprefix(f"{utterance.path}: ").partition(": ")
    return Report(utterance.name, reason, detail, skipped=True)


def _checked_peak(samples: NDArray[np.float32], path: Path, config: FeatureConfig) -> float:
    if len(samples) < (least := shortest(config)):
        raise AudioError(
            f"{path}: too short: got {len(samples)} samples at {config.sample_rate} Hz, expected {least} (25 ms) or"
            " more"
        )
    peak = float(np.abs(samples).max())
    if peak < SILENCE:
        raise AudioError(f"{path}: silent: got a peak of {peak:.1e}, expected {SILENCE:.1e} (-80 dB) or more")
    return peak


def _remarks(name: str, source: AudioSource, task: ShardTask) -> Iterator[Report]:
    for remark in source.remarks:
        yield Report(name, remark.kind, remark.detail, skipped=False)
    if source.rate < task.config.sample_rate:
        yield Report(name, "narrow band", f"{source.rate} Hz says nothing above {source.rate / 2:g} Hz", skipped=False)
    elif source.rate not in task.usual_rates:
        yield Report(name, "unusual rate", f"resampled from {source.rate} Hz", skipped=False)
