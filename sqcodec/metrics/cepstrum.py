"""Mel-generalised cepstra of log spectra: frequency warping and the unbiased estimate.

Warping: Oppenheim and Johnson, Proc. IEEE 60(6), 1972. Unbiased estimate ("mcep" of SPTK): Fukada, Tokuda, Kobayashi
and Imai, ICASSP 1992.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

_Array = NDArray[np.float64]
_ITERATIONS = 30
_CONVERGED = 1e-8  # largest step of a coefficient (natural logarithm of amplitude)


@lru_cache(maxsize=8)
def warping(length: int, order: int, alpha: float) -> _Array:
    """[order + 1, length]: takes a cepstrum in z to the one in the all-pass (z^-1 - alpha) / (1 - alpha z^-1).

    Column n holds the first powers of ((w + alpha) / (1 + alpha w))^n, w being the warped z^-1.
    """
    columns = np.zeros((length, order + 1))
    columns[0, 0] = 1.0
    for n in range(1, length):
        columns[n] = lfilter([alpha, 1.0], [1.0, alpha], columns[n - 1])
    return columns.T


def from_envelope(power: _Array, order: int, alpha: float) -> _Array:
    """Mel cepstrum of power spectra [T, n_fft / 2 + 1] -> [T, order + 1]: log |H| = sum_m c_m cos(m warped)."""
    n_fft = 2 * (power.shape[1] - 1)
    cepstrum = np.fft.irfft(np.log(power), axis=1)[:, : n_fft // 2 + 1]
    cepstrum[:, 0] /= 2.0
    cepstrum[:, -1] /= 2.0  # the term at n_fft / 2 stands once in the inverse transform
    return cepstrum @ warping(n_fft // 2 + 1, order, alpha).T


def unbiased(periodogram: _Array, order: int, alpha: float) -> _Array:
    """Mel cepstrum that minimises the unbiased log spectrum's criterion: [T, n_fft / 2 + 1] -> [T, order + 1].

    E(c) = mean over w of I / |H|^2 + log |H|^2 with log |H|^2 = 2 sum_m c_m cos(m warped(w)), which is convex in c;
    Newton's method from the cepstrum of the log periodogram, halving a step that does not lower E.
    """
    bins = periodogram.shape[1]
    cosines, weight = _cosines(bins, order, alpha), _circle_weight(bins)
    products = (cosines[:, :, None] * cosines[:, None, :] * weight[:, None, None]).reshape(bins, -1)
    mean_cosines = weight @ cosines
    log_power = np.log(periodogram)
    c = from_envelope(periodogram, order, alpha)
    ratio, energy = _criterion(c, log_power, cosines, weight)
    for _ in range(_ITERATIONS):
        gradient = 2.0 * (mean_cosines - (ratio * weight) @ cosines)
        hessian = 4.0 * (ratio @ products).reshape(len(c), order + 1, order + 1)
        step = -np.linalg.solve(hessian, gradient[..., None])[..., 0]
        size = np.ones(len(c))
        for _ in range(_ITERATIONS):
            new_ratio, new_energy = _criterion(c + size[:, None] * step, log_power, cosines, weight)
            worse = new_energy > energy + 1e-12 * np.abs(energy)
            if not worse.any():
                break
            size[worse] /= 2.0
        c, ratio, energy = c + size[:, None] * step, new_ratio, new_energy
        if np.abs(step).max() < _CONVERGED:
            break
    return c


def _criterion(c: _Array, log_power: _Array, cosines: _Array, weight: _Array) -> tuple[_Array, _Array]:
    """I / |H|^2 [T, bins] and E [T]."""
    log_model = 2.0 * c @ cosines.T
    ratio = np.exp(np.minimum(log_power - log_model, 300.0))
    return ratio, (ratio + log_model) @ weight


def _cosines(bins: int, order: int, alpha: float) -> _Array:
    """cos(m warped(w)) [bins, order + 1] on a grid from 0 to pi."""
    w = np.linspace(0.0, np.pi, bins)
    warped = w + 2.0 * np.arctan2(alpha * np.sin(w), 1.0 - alpha * np.cos(w))
    return np.cos(warped[:, None] * np.arange(order + 1))


def _circle_weight(bins: int) -> _Array:
    """Weights [bins] with which half a spectrum's mean is that of the whole circle."""
    weight = np.full(bins, 2.0)
    weight[[0, -1]] = 1.0
    return weight / (2 * (bins - 1))
