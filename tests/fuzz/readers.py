"""The readers of sqcodec, good files for each, and what must hold where a changed file is read."""

import contextlib
import io
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from numpy.typing import NDArray

from sqcodec.bitstream import npy, recovery, sqc
from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource, RawFormat
from sqcodec.errors import SqcodecError
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.coding.inspection import inspect_bytes
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.recipe import available_recipes, load_recipe

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "v1"
RECOVERED = 64  # one in so many damaged .sqc is recovered too, which takes long
SPACE = read_space(GOLDEN / "model.safetensors")

Known = Sequence[NDArray[np.uint16]]


class Reader(NamedTuple):
    """One reader: good files, and what reads a changed one. It returns None, or what is wrong with the result."""

    seeds: list[bytes]
    read: Callable[[bytes, Path], str | None]


def known_codes() -> Known:
    """The codes that were written to the golden files."""
    return [np.atleast_2d(np.load(path)) for path in sorted(GOLDEN.glob("*.codes.npy"))]


def make_readers(known: Known) -> dict[str, Reader]:
    """known: the codes that a correct reader may return under a checksum."""
    models = [path.read_bytes() for path in sorted(GOLDEN.glob("*.safetensors"))]
    recipes = [(folder / "recipe.yaml").read_bytes() for folder in available_recipes().values()]
    return {
        "sqc": Reader(golden_files("[ls]*.sqc"), lambda content, _: read_sqc(content, known)),
        "npy": Reader(golden_files("*.npy"), lambda content, _: read_npy(content, known)),
        "wav": Reader(sounds(), read_wav),
        "model": Reader(models, read_model),
        "recipe": Reader(recipes, read_recipe),
    }


def golden_files(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob(pattern))]


def sounds() -> list[bytes]:
    """WAV of 16 bit, WAV of two channels of floats, FLAC."""
    files = io.BytesIO(), io.BytesIO(), io.BytesIO()
    samples = np.sin(np.arange(4000) / 9) / 2
    soundfile.write(files[0], samples, 16000, format="WAV")
    soundfile.write(files[1], np.stack([samples, samples], 1), 44100, format="WAV", subtype="FLOAT")
    soundfile.write(files[2], samples, 8000, format="FLAC")
    return [file.getvalue() for file in files]


def same(codes: Codes, known: Known) -> bool:
    return any(np.array_equal(codes.indices, indices) for indices in known)


def read_sqc(content: bytes, known: Known) -> str | None:
    """unpack, inspect and, of some, recover; what they return must be codes that were written."""
    if zlib.crc32(content) % RECOVERED == 0 and (wrong := recover(content, known)):
        return wrong
    with contextlib.suppress(SqcodecError):
        inspect_bytes(content, "x", str(GOLDEN / "model.safetensors"))
    codes = sqc.unpack(content, SPACE, where="x")
    return None if same(codes, known) else "unpack returned other codes"


def recover(content: bytes, known: Known) -> str | None:
    try:
        done = recovery.recover(content, SPACE, where="x")
    except SqcodecError:
        return None
    indices = done.codes.indices
    kept = np.ones(indices.shape[1], bool)
    for block in done.lost:
        kept[block.start : block.stop] = False
    same_kept = any(np.array_equal(codes[:, kept], indices[:, kept]) for codes in known if codes.shape == indices.shape)
    return None if same_kept else "recover returned other codes"


def read_npy(content: bytes, known: Known) -> str | None:
    """With its second array a file has a checksum; without it anything that is integers is codes."""
    codes = npy.unpack(content, where="x")
    return None if codes.fingerprint is None or same(codes, known) else "other codes under a checksum"


def read_wav(content: bytes, path: Path) -> str | None:
    path.write_bytes(content)
    raw = AudioSource(path, RawFormat("s16le", 16000)) if len(content) % 2 == 0 and content else None
    if raw is not None and len(raw.read(raw.rate)) != len(content) // 2:
        return "raw samples lost"
    audio, total = AudioSource(path), 0
    for block in audio.blocks(audio.rate):
        if not np.isfinite(block).all():
            return "samples that are not finite"
        total += len(block)
    return None if total == audio.input_samples else f"{total} samples, {audio.input_samples} were said"


def read_model(content: bytes, path: Path) -> str | None:
    """A changed weight changes no fingerprint: what must hold is that header, tables and codebook fit each other."""
    path.write_bytes(content)
    space = read_space(path)
    header, codec = read_header(path), load_model(path)
    return None if codec.fingerprint == header.fingerprint == space.fingerprint else "fingerprints differ"


def read_recipe(content: bytes, path: Path) -> str | None:
    path = path.with_suffix(".yaml")
    path.write_bytes(content)
    load_recipe(str(path))
    return None
