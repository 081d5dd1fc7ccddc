#!/usr/bin/env python3
"""Write cepstra.json: mel cepstra and distortions by SPTK's own code, pysptk (1.0.1). Needs scipy and pyworld too.

Run it anywhere: python make-cepstra.py. The tests only read what it wrote.
"""

import json
from pathlib import Path

import numpy as np
import pysptk
import pyworld
from scipy.signal import firwin, lfilter


def main() -> None:
    first, second = signals()
    frames = [frames_of(signal) for signal in (first, second)]
    mcep = [np.stack([pysptk.mcep(frame, 23, 0.42, eps=1e-6, etype=1) for frame in of]) for of in frames]
    versa = [world_cepstrum(signal) for signal in (first, second)]
    golden = {
        "mcep": mcep[0][3].tolist(),
        "sp2mc": versa[0][10].tolist(),
        "espnet": warped_mcd(*mcep),
        "versa": float(decibels(versa[0], versa[1]).mean()),
    }
    Path(__file__).with_name("cepstra.json").write_text(json.dumps(golden, indent=1) + "\n")


def signals():
    """Two harmonic tones [8000] at 16 kHz, rounded to 16 bit, with formants, noise and tempos of their own."""
    time = np.arange(8000) / 16000
    rng = np.random.default_rng(1)
    made = []
    for pitch, tilt, tempo in ((120, 1.0, 3.0), (125, 1.3, 3.3)):
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k**tilt for k in range(1, 40))
        sound = 0.2 * tone * (0.6 + 0.4 * np.sin(2 * np.pi * tempo * time)) + 0.003 * rng.normal(size=8000)
        made.append(np.round(sound * 32767) / 32767)
    return made


def frames_of(signal):
    samples = np.round(signal * 32767)
    window = pysptk.sptk.hamming(1024)
    return [samples[start : start + 1024] * window for start in range(0, len(samples) - 1023, 256)]


def world_cepstrum(signal):
    samples = lfilter(firwin(255, 70 / 8000, pass_zero=False), 1, signal * 32767)
    f0, times = pyworld.harvest(samples, 16000, f0_floor=40.0, f0_ceil=800.0, frame_period=5)
    return pysptk.sp2mc(pyworld.cheaptrick(samples, f0, times, 16000, fft_size=1024), 39, 0.466)


def decibels(first, second):
    return 10 / np.log(10) * np.sqrt(2 * ((first - second) ** 2).sum(1))


def warped_mcd(first, second):
    """Exact dynamic time warping by recursion over cells, then the mean distortion along the path."""
    best = {}
    for i in range(len(first)):
        for j in range(len(second)):
            before = [best[cell] for cell in ((i - 1, j - 1), (i, j - 1), (i - 1, j)) if cell in best]
            cost, path = min(before, key=lambda entry: entry[0]) if before else (0.0, [])
            best[i, j] = (cost + np.linalg.norm(first[i] - second[j]), [*path, (i, j)])
    path = np.array(best[len(first) - 1, len(second) - 1][1])
    return float(decibels(first[path[:, 0]], second[path[:, 1]]).mean())


if __name__ == "__main__":
    main()
