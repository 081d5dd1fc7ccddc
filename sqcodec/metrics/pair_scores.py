"""Every metric of a pair of signals that needs nothing but them."""

import importlib.util
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sqcodec.errors import MetricError
from sqcodec.metrics import distillmos, dnsmos, level, mcd, pesq, pitch, stft, stoi
from sqcodec.metrics.alignment import find_delay, remove_delay
from sqcodec.metrics.mcd import McdDefinition
from sqcodec.metrics.signals import METRIC_RATE
from sqcodec.recording import check_level
from sqcodec.resampling import check_rate, resample

Signal = NDArray[np.float32]
Group = Callable[[Signal, Signal], dict[str, float]]  # metrics that are computed together, by name
PACKAGES = {
    "pesq": ("pesq",),
    "pystoi": ("stoi", "estoi"),
    "speechmos": ("dnsmos", "dnsmos_p808"),
    "distillmos": ("distillmos",),
}


def evaluate(
    reference: Signal, degraded: Signal, rate: int, *, align: bool = True, definition: McdDefinition = "textbook"
) -> dict[str, float]:
    """Every metric of `degraded` [M] against `reference` [N], both at `rate` (Hz), floats in -1 to 1.

    Keys: pesq (wide band), stoi, estoi, dnsmos, dnsmos_p808, distillmos, mcd (dB), f0_rmse (Hz), f0_cents, gross_pitch
    and voicing (%), lsd (dB), mr_stft, level (dB), si_sdr (dB), and delay (ms) with `align`, which removes the delay
    first. Signals are resampled to 16 kHz; `degraded` is then cut, or filled with zeros, to the reference's length.
    NaN: cannot be computed for this pair, as PESQ of silence; a metric whose package is not installed is left out.
    definition: of the mel-cepstral distortion. Raises MetricError: not two signals of one channel, empty, or no such
    definition; AudioError: far beyond -1 to 1, or not a sample rate.

    Examples:
        >>> scores = sqcodec.metrics.evaluate(samples, codec.decode(codec.encode(samples, rate), rate), rate)
        >>> round(scores["estoi"], 1)
        0.8
    """
    one, other = (_signal(signal, rate) for signal in (reference, degraded))
    scores: dict[str, float] = {}
    delay = 0
    if align:
        delay = find_delay(one, other)
        scores["delay"] = 1e3 * delay / METRIC_RATE
    aligned = remove_delay(other, delay, len(one))
    for keys, group in installed_groups(definition):
        try:
            scores |= group(one, aligned)
        except MetricError:
            scores |= dict.fromkeys(keys, float("nan"))
    return scores


def installed_groups(definition: McdDefinition) -> list[tuple[tuple[str, ...], Group]]:
    """Metrics that are computed together, with their names; those whose package is missing left out.

    Raises MetricError: no such definition.
    """
    if definition not in mcd.DEFINITIONS:
        raise MetricError(f"definition {definition!r}: expected one of {', '.join(mcd.DEFINITIONS)}")
    groups: list[tuple[tuple[str, ...], Group]] = [
        (("pesq",), pesq.evaluate),
        (("stoi", "estoi"), stoi.evaluate),
        (("dnsmos", "dnsmos_p808"), dnsmos.evaluate),
        (("distillmos",), distillmos.evaluate),
        (("mcd",), lambda first, second: mcd.evaluate(first, second, definition=definition)),
        (("f0_rmse", "f0_cents", "gross_pitch", "voicing"), pitch.evaluate),
        (("lsd",), lambda first, second: {"lsd": stft.log_spectral_distance(first, second)}),
        (("mr_stft",), lambda first, second: {"mr_stft": stft.multi_resolution(first, second)}),
        (("level",), lambda first, second: {"level": level.level_difference(first, second)}),
        (("si_sdr",), lambda first, second: {"si_sdr": level.si_sdr(first, second)}),
    ]
    missing = {key for package, keys in PACKAGES.items() if not is_installed(package) for key in keys}
    return [(keys, group) for keys, group in groups if not missing & set(keys)]


def is_installed(package: str) -> bool:
    """Whether a package can be imported."""
    return importlib.util.find_spec(package) is not None


def _signal(signal: Signal, rate: int) -> Signal:
    """[N] float32 at the metrics' rate."""
    values = np.asarray(signal)
    if values.ndim != 1 or not values.size or values.dtype.kind != "f":
        raise MetricError(
            f"got an array {[*values.shape]} of {values.dtype}, expected one channel [N] of floats in -1 to 1"
        )
    check_level(values)
    check_rate(rate)
    return resample(values.astype(np.float32), rate, METRIC_RATE)
