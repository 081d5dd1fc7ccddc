"""Scores of decoded speech that several benchmarks print."""

from typing import NamedTuple

from benchmarks.speech import Samples
from sqcodec.metrics import dnsmos, pesq, stoi
from sqcodec.metrics.alignment import find_delay, remove_delay


class Scores(NamedTuple):
    """STOI, ESTOI, wide-band PESQ and DNSMOS (overall)."""

    stoi: float
    estoi: float
    pesq: float
    dnsmos: float


def scores_of(reference: Samples, sound: Samples) -> Scores:
    """The scores of a sound [M] against its reference [N], both at 16 kHz; its delay is removed."""
    aligned = remove_delay(sound, find_delay(reference, sound), len(reference))
    return Scores(
        stoi.stoi(reference, aligned, extended=False),
        stoi.stoi(reference, aligned, extended=True),
        pesq.pesq_wb(reference, aligned),
        dnsmos.dnsmos(aligned),
    )
