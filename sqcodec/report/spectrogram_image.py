"""Pictures of spectra: levels of a recording as a small PNG, on a scale that several recordings share."""

import struct
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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
    return png((shown * (_LEVELS - 1)).round().astype(np.uint8), palette())


@lru_cache(maxsize=1)
def palette() -> NDArray[np.uint8]:
    """[colours, 3] from dark to bright: matplotlib's `magma`, which is read alike in grey and by the colour-blind."""
    from matplotlib import colormaps

    colours = np.asarray(colormaps["magma"](np.linspace(0.0, 1.0, _LEVELS)))[:, :3]
    return (255 * colours).round().astype(np.uint8)


def png(indices: NDArray[np.uint8], colours: NDArray[np.uint8]) -> bytes:
    """A PNG (ISO/IEC 15948) of colour numbers [rows, columns] and their colours [n, 3]."""
    rows, columns = indices.shape
    lines = np.concatenate([np.zeros((rows, 1), np.uint8), indices], axis=1)  # filter 0 before each line
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8, 3, 0, 0, 0)),
        (b"PLTE", colours.tobytes()),
        (b"IDAT", zlib.compress(lines.tobytes(), 9)),
        (b"IEND", b""),
    ]
    body = b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + body
