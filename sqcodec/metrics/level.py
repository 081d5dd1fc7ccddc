"""How near a waveform is, and how loud.

SI-SDR: Le Roux, Wisdom, Erdogan and Hershey, ICASSP 2019, eq. 3. It judges waveforms: a codec that makes its own phases
has a low one however it sounds.
"""

import numpy as np

from sqcodec.errors import MetricError
from sqcodec.metrics.signals import Signal, validate


def si_sdr(reference: Signal, degraded: Signal) -> float:
    """Scale-invariant signal-to-distortion ratio in dB; both [N], aligned; means are not removed.

    Raises MetricError: silent, or the ratio is infinite (the two are equal up to a factor, or nothing is in common).
    """
    validate(reference, degraded)
    target, estimate = reference.astype(np.float64), degraded.astype(np.float64)
    projection = (estimate @ target) / (target @ target) * target
    residual = estimate - projection
    if not (projection @ projection and residual @ residual):
        raise MetricError("SI-SDR is infinite: the signals are equal up to a factor, or have nothing in common")
    return float(10.0 * np.log10((projection @ projection) / (residual @ residual)))


def level_difference(reference: Signal, degraded: Signal) -> float:
    """Power of the degraded signal over the reference's, in dB. Raises MetricError: silent."""
    validate(reference, degraded)
    powers = [float(np.square(signal, dtype=np.float64).mean()) for signal in (degraded, reference)]
    return float(10.0 * np.log10(powers[0] / powers[1]))


def evaluate(reference: Signal, degraded: Signal) -> dict[str, float]:
    """{"level": `level_difference`}; and {"si_sdr": `si_sdr`}, in dB."""
    return {"level": level_difference(reference, degraded), "si_sdr": si_sdr(reference, degraded)}
