#!/usr/bin/env python3
"""Make the speech that ships with sqcodec: about two minutes of our own sentences, spoken by espeak-ng.

The same espeak-ng (1.51 made the committed files), soxr and libsndfile give the same bytes. Laid out as VCTK 0.92
(48 kHz, `wav48_silence_trimmed/`) and as ZeroSpeech 2019 (16 kHz, `2019/english/`). Beside them `phones.item`, for
the ABX test: the phones in their contexts, as espeak-ng's library tells them (espeak-phones.py).
"""

import argparse
import hashlib
import io
import json
import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr

HERE = Path(__file__).resolve().parent
OUT = HERE / "speech"
PEAK = 0.5  # amplitude of the loudest sample: 6 dB lower costs one bit a sample less in FLAC

# As in VCTK, a number names the same sentence whoever speaks it.
SENTENCES = {
    1: "Please carry the red kettle down to the boat house.",
    2: "The heron stood quite still in the shallow water.",
    3: "We measured the old bridge twice before breakfast.",
    4: "Her brother grows plums and walnuts behind the mill.",
    5: "Nobody heard the thunder over the noise of the fair.",
    6: "A young fox ran across the frozen field at dusk.",
    7: "They sold fresh bread, goat cheese and honey by the pier.",
    8: "The clock in the hall has been slow since March.",
    9: "Five small ships were waiting outside the harbour wall.",
    10: "You should choose a thicker rope for the garden swing.",
    11: "My uncle paints a view of the valley every spring.",
    12: "The judge asked the witness to read the letter aloud.",
    13: "Thick fog hid the island, so the ferry came back early.",
    14: "Put the blue cups on the shelf above the stove.",
    15: "She whistled a short tune while she mended the fence.",
    16: "Strong coffee and warm socks make a good camp.",
    17: "Their usual road was closed, but the view was worth it.",
    18: "Could you show me which of these keys opens the shed?",
    19: "The choir sang louder as the candles burned low.",
    20: "Beyond the quarry lies a pool of clear green water.",
}
WORDS = ["boat", "seven", "ash", "little", "go", "paper", "thumb", "yes"]


class Voice(NamedTuple):
    """An espeak-ng voice (accent+variant), its speed in words a minute and its pitch from 0 to 99."""

    name: str
    speed: int
    pitch: int


VOICES = {
    "p225": Voice("en-gb+f3", 165, 55),
    "p226": Voice("en-gb-scotland+m2", 170, 40),
    "p227": Voice("en-us+m3", 170, 30),
    "p228": Voice("en-gb-x-gbcwmd+f2", 165, 50),
    "p360": Voice("en-us-nyc+f4", 170, 60),
    "V001": Voice("en-us+m7", 175, 45),
    "V002": Voice("en-gb-x-rp+f1", 170, 50),
    "S001": Voice("en-029+m1", 175, 40),
    "S002": Voice("en-gb-x-gbclan+f5", 175, 60),
    "S003": Voice("en-gb+m4", 175, 35),
    "S021": Voice("en-us+f2", 175, 52),
}
VCTK = {  # speaker -> utterance numbers; 1 to 5 are held out by the lists of recipes/vctk, and so is speaker p360
    "p225": [1, 6, 7, 8, 9, 10],
    "p226": [2, 6, 11, 12, 13, 14],
    "p227": [3, 7, 15, 16, 17, 18],
    "p228": [4, 8, 10, 16, 19, 20],
    "p360": [1, 6],
}
ZEROSPEECH = {  # folder of 2019/english -> recordings (speaker, sentence number)
    "train/unit": [("S001", 8), ("S001", 12), ("S002", 15), ("S003", 17), ("S003", 9)],
    "train/voice": [("V001", 10), ("V001", 13), ("V002", 14), ("V002", 19)],
    "train/parallel/source": [("S001", 20), ("S002", 5)],
    "train/parallel/voice": [("V001", 20), ("V002", 5)],
    "test": [("S021", 18), ("S021", 3)],
}
CUTS = [0.09, 0.1, 0.12, 0.16, 0.2, 0.25, 0.35, 0.5]  # seconds of the short test files, one of each of WORDS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Needs espeak-ng (Debian and Ubuntu: apt install espeak-ng; macOS: brew install espeak-ng)"
        " and the packages of bin/setup: .venv/bin/python recipes/tiny/make-speech.py",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=OUT, help="folder to write to (default: recipes/tiny/speech)")
    out = parser.parse_args().out
    if shutil.which("espeak-ng") is None:
        sys.exit("Error: espeak-ng is not on the PATH. Install it: apt install espeak-ng, or brew install espeak-ng")
    seconds = write_vctk(out / "VCTK-Corpus-0.92") + write_zerospeech(out / "2019" / "english")
    write_items(out / "phones.item")
    size = sum(path.stat().st_size for path in out.rglob("*.flac"))
    print(f"{out}: {seconds:.0f} s of speech, {size / 1e6:.2f} MB")


def write_vctk(root: Path) -> float:
    """Write the recordings of VCTK's layout; their length in seconds."""
    total = 0.0
    for speaker, numbers in VCTK.items():
        for number in numbers:
            path = root / "wav48_silence_trimmed" / speaker / f"{speaker}_{number:03d}_mic1.flac"
            total += save(path, speak(SENTENCES[number], VOICES[speaker], 48000), 48000)
    return total


def write_zerospeech(root: Path) -> float:
    """Write the recordings of ZeroSpeech 2019's layout; their length in seconds."""
    total = 0.0
    for folder, recordings in ZEROSPEECH.items():
        for speaker, number in recordings:
            samples = speak(SENTENCES[number], VOICES[speaker], 16000)
            total += save(root / folder / f"{speaker}_{number:010d}.flac", samples, 16000)
    for number, (word, seconds) in enumerate(zip(WORDS, CUTS, strict=True), start=101):
        samples = speak(word, VOICES["S021"], 16000)
        middle, half = len(samples) // 2, round(seconds * 8000)
        total += save(root / "test" / f"S021_{number:010d}.flac", samples[max(0, middle - half) :][: 2 * half], 16000)
    return total


def speak(text: str, voice: Voice, sample_rate: int) -> np.ndarray:
    """One sentence, [N] float64, at `sample_rate` Hz, without the silence around it, loudest sample at PEAK."""
    samples, rate = espeak(text, voice)
    begin, end = without_silence(samples, rate)
    samples = samples[begin:end]
    samples = soxr.resample(samples, rate, sample_rate, quality="HQ")
    return samples * (PEAK / np.abs(samples).max())


def espeak(text: str, voice: Voice) -> tuple[np.ndarray, int]:
    """What espeak-ng says: [N] float64 and its rate in Hz."""
    command = ["espeak-ng", "-v", voice.name, "-s", str(voice.speed), "-p", str(voice.pitch), "--stdout", text]
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav))
    return samples, rate


def without_silence(samples: np.ndarray, rate: int) -> tuple[int, int]:
    """First sample and end of what is not silent, and 30 ms more, so that no sound begins at full level."""
    loud = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    margin = round(0.03 * rate)
    return max(0, loud[0] - margin), loud[-1] + margin


class Item(NamedTuple):
    """A phone between two others, all three from onset to offset, in seconds of a recording."""

    file: str
    onset: float
    offset: float
    phone: str
    before: str
    after: str
    speaker: str


def write_items(path: Path) -> None:
    """Write the phones of every sentence whose context lets them be compared across speakers."""
    vctk = "VCTK-Corpus-0.92/wav48_silence_trimmed/{0}/{0}_{1:03d}_mic1"
    zerospeech = "2019/english/{0}/{1}_{2:010d}"
    sentences = [(vctk.format(speaker, number), speaker, number) for speaker, of in VCTK.items() for number in of]
    for folder, recordings in ZEROSPEECH.items():
        sentences += [(zerospeech.format(folder, *recording), *recording) for recording in recordings]
    contexts = defaultdict(list)
    for name, speaker, number in sentences:
        for item in triphones(name, speaker, SENTENCES[number]):
            contexts[item.before, item.after].append(item)
    useful = [item for of in contexts.values() if comparable(of) for item in of]
    lines = [f"{i.file} {i.onset:.4f} {i.offset:.4f} {i.phone} {i.before} {i.after} {i.speaker}\n" for i in useful]
    path.write_text("#file onset offset #phone prev-phone next-phone speaker\n" + "".join(sorted(lines)), "utf-8")


def comparable(items: list[Item]) -> bool:
    """Whether a speaker says two phones in this context, and another one of them."""
    said = defaultdict(set)
    for item in items:
        said[item.speaker].add(item.phone)
    return any(
        len(own) > 1 and any(own & others for other, others in said.items() if other != speaker)
        for speaker, own in said.items()
    )


def triphones(name: str, speaker: str, text: str) -> list[Item]:
    """Every phone of a sentence that has a phone on each side, without a pause between."""
    voice = VOICES[speaker]
    samples, rate = espeak(text, voice)
    command = [HERE / "espeak-phones.py", voice.name, str(voice.speed), str(voice.pitch), text]
    told = json.loads(subprocess.run([sys.executable, *command], check=True, capture_output=True).stdout)
    if told["sha256"] != hashlib.sha256(np.round(samples * 32768).astype("<i2").tobytes()).hexdigest():
        sys.exit(f"Error: {name}: espeak-ng and its library do not say the same; are they of one version?")
    begin, _ = without_silence(samples, rate)
    starts = [(sample - begin) / rate for sample, _ in told["phones"]] + [len(samples) / rate]
    names = ["" if phone.startswith("_") else phone.strip() for _, phone in told["phones"]]
    return [
        Item(name, max(0.0, starts[i - 1]), starts[i + 2], names[i], names[i - 1], names[i + 1], speaker)
        for i in range(1, len(names) - 1)
        if all(names[i - 1 : i + 2])
    ]


def save(path: Path, samples: np.ndarray, sample_rate: int) -> float:
    """Write 16-bit FLAC; the length in seconds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, sample_rate, subtype="PCM_16", format="FLAC", compression_level=1.0)
    return len(samples) / sample_rate


if __name__ == "__main__":
    main()
