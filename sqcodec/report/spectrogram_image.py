"""Pictures of spectra: levels of a recording as a small PNG, on a scale that several recordings share."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

RANGE = 80.0  # dB from the top of the scale to its bottom
TOP_FREQUENCY = 8000  # Hz
_N_FFT = 512  # samples, 32 ms
_HOP = 160  # samples, 10 ms: a column of the picture
_LEVELS = 64  # colours
_FLOOR = 1e-10

Levels = NDArray[np.float64]


def levels(samples: NDArray[np.float32]) -> Levels:
    """Power in dB of [N] at 16 kHz: [T, 256], every 10 ms, 31 Hz a bin, below 8 kHz."""
    padded = np.pad(samples.astype(np.float64), (_N_FFT // 2, _N_FFT // 2))
    frames = np.lib.stride_tricks.sliding_window_view(padded, _N_FFT)[::_HOP] * np.hanning(_N_FFT)
    power = np.abs(np.fft.rfft(frames, axis=1)[:, : _N_FFT // 2]) ** 2
    return 10.0 * np.log10(power + _FLOOR)


def picture(level: Levels, top: float) -> bytes:
    """PNG of `level` [T, bins]: time to the right, frequency upwards, the brightest colour at `top` dB, RANGE deep."""
    shown = np.clip((level.T[::-1] - top + RANGE) / RANGE, 0.0, 1.0)
    image = Image.fromarray((shown * (_LEVELS - 1)).round().astype(np.uint8))
    image.putpalette(palette().tobytes())
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


@lru_cache(maxsize=1)
def palette() -> NDArray[np.uint8]:
    """[colours, 3] from dark to bright: matplotlib's `magma`, which is read alike in grey and by the colour-blind."""
    from matplotlib import colormaps

    colours = np.asarray(colormaps["magma"](np.linspace(0.0, 1.0, _LEVELS)))[:, :3]
    return (255 * colours).round().astype(np.uint8)
