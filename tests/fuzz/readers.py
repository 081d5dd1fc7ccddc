"""The readers of sqcodec, good files for each, and what must hold where a changed file is read."""

import contextlib
import hashlib
import io
import random
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray

from sqcodec.bitstream import message, npy, recovery, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.codes import Codes
from sqcodec.corpus import download, folder
from sqcodec.corpus.abx_task import read_task
from sqcodec.corpus.audio import AudioSource, RawFormat
from sqcodec.corpus.download import Source
from sqcodec.errors import SqcodecError
from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.coding.inspection import inspect_bytes
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.recipe import available_recipes, load_recipe
from sqcodec.recipe.vocoder_section import IstftConfig
from sqcodec.spectrogram import FEATURES
from sqcodec.train.checkpoint import load_checkpoint, load_optimizer_, unlike
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import load_vocoder, save_vocoder
from tests.bitstream.examples import make_codes, make_space, with_stages
from tests.fuzz import forged

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "v1"
RECOVERED = 64  # one in so many damaged .sqc is recovered too, which takes long
GOLDEN_2, GOLDEN_4 = GOLDEN.with_name("v2"), GOLDEN.with_name("v4")
SPACE = read_space(GOLDEN / "model.safetensors")
SPACE_2 = make_space(3, 10, context=True)
MESSAGE_SPACE = make_space(3, 10, context=True, speakers=())
MESSAGES = [make_codes(9000, 3, 10, speaker=None), with_stages(make_codes(16000, 3, 10, speaker=None))]

Known = Sequence[NDArray[np.uint16]]


class Reader(NamedTuple):
    """One reader: good files, and what reads a changed one. It returns None, or what is wrong with the result.

    forge: makes of a good file a hostile one that is well formed; take: what reads that, whatever comes of it.
    """

    seeds: list[bytes]
    read: Callable[[bytes, Path], str | None]
    forge: Callable[[random.Random, bytes], bytes] | None = None
    take: Callable[[bytes, Path], object] | None = None


def known_codes() -> Known:
    """The codes that were written to the golden files."""
    return [np.atleast_2d(np.load(path)) for path in sorted(GOLDEN.glob("*.codes.npy"))]


def make_readers(known: Known) -> dict[str, Reader]:
    """known: the codes that a correct reader may return under a checksum."""
    models = [path.read_bytes() for path in sorted(GOLDEN.glob("*.safetensors"))]
    recipes = [(folder / "recipe.yaml").read_bytes() for folder in available_recipes().values()]
    return {
        "sqc": Reader(
            golden_files("[ls]*.sqc"), lambda content, _: read_sqc(content, known), forged.sqc_file(SPACE), take_sqc
        ),
        "sqc-2": Reader(
            seeds_2(), lambda content, _: read_sqc_2(content), forged.context_file(SPACE_2), lambda x, _: take_sqc_2(x)
        ),
        "message": Reader([message.pack(codes, MESSAGE_SPACE) for codes in MESSAGES], lambda x, _: read_message(x)),
        "npy": Reader(golden_files("*.npy"), lambda content, _: read_npy(content, known), forged.npy_file, take_npy),
        "wav": Reader(sounds(), read_wav),
        "model": Reader(models, read_model, forged.tensors_file, read_model),
        "vocoder": Reader([vocoder()], read_vocoder, forged.tensors_file, read_vocoder),
        "checkpoint": Reader([checkpoint()], read_checkpoint, forged.checkpoint_file, read_checkpoint),
        "recipe": Reader(recipes, read_recipe, forged.recipe_file, read_recipe),
        "list": Reader(lists(), read_table, forged.table_file, read_table),
        "items": Reader(items(), read_items, forged.table_file, read_items),
        "archive": Reader(archives(), read_archive, forged.archive_file, read_archive),
    }


def golden_files(pattern: str) -> list[bytes]:
    return [path.read_bytes() for path in sorted(GOLDEN.glob(pattern))]


def seeds_2() -> list[bytes]:
    """Files of versions 2 and 4."""
    return [path.read_bytes() for folder in (GOLDEN_2, GOLDEN_4) for path in sorted(folder.glob("three-*.sqc"))]


def read_sqc_2(content: bytes) -> str | None:
    """As `read_sqc`, for files of the context model, which may be those of any codes that were written."""
    known = [np.load(path) for folder in (GOLDEN_2, GOLDEN_4) for path in sorted(folder.glob("three-*.codes.npy"))]
    if zlib.crc32(content) % RECOVERED == 0 and (wrong := recover(content, known, SPACE_2)):
        return wrong
    codes = sqc.unpack(content, SPACE_2, where="x")
    return None if same(codes, known) and codes.stages_fit else "unpack returned other codes"


def take_sqc_2(content: bytes) -> str | None:
    """unpack or, of one in four, recover; what either returns fits the model."""
    if zlib.crc32(content) % 4:
        codes = sqc.unpack(content, SPACE_2, where="x")
    else:
        codes = recovery.recover(content, SPACE_2, where="x").codes
    return None if codes.stages_fit and codes.indices.max() < 10 else "codes outside the model"


def read_message(content: bytes) -> str | None:
    """Its 16 bits of checksum let one damaged message in 65536 through: so what is wrong is its shape alone."""
    codes = message.unpack(content, MESSAGE_SPACE, where="x")
    within = codes.stages_fit and codes.indices.max() < 10 and 1 <= codes.indices.shape[1] <= message.MAX_CODES
    return None if within and len(codes.indices) <= 3 else "codes outside the model"


def sounds() -> list[bytes]:
    """WAV of 16 bit, WAV of two channels of floats, FLAC."""
    files = io.BytesIO(), io.BytesIO(), io.BytesIO()
    samples = np.sin(np.arange(4000) / 9) / 2
    soundfile.write(files[0], samples, 16000, format="WAV")
    soundfile.write(files[1], np.stack([samples, samples], 1), 44100, format="WAV", subtype="FLOAT")
    soundfile.write(files[2], samples, 8000, format="FLAC")
    return [file.getvalue() for file in files]


def take_sqc(content: bytes, path: Path) -> None:
    """unpack, inspect, recover."""
    for read in (sqc.unpack, recovery.recover):
        with contextlib.suppress(SqcodecError):
            read(content, SPACE, where="x")
    inspect_bytes(content, "x", str(GOLDEN / "model.safetensors")).as_json()


def take_npy(content: bytes, path: Path) -> None:
    inspect_bytes(content, "x", None).as_json()


def vocoder() -> bytes:
    """A vocoder file of few channels."""
    torch.manual_seed(0)
    config = load_recipe("istft").vocoder
    assert isinstance(config, IstftConfig)
    small = config.model_copy(update={"dim": 8, "layers": 1})
    path = Path(tempfile.mkdtemp(prefix="sqcodec-fuzz-")) / "vocoder.safetensors"
    try:
        network = IstftNetwork(small, FEATURES["log-mel"])
        save_vocoder(path, network, config=small, features=FEATURES["log-mel"], step=1, codec=None)
        return path.read_bytes()
    finally:
        shutil.rmtree(path.parent)


def read_vocoder(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    load_vocoder(path, FEATURES["log-mel"])


def training() -> tuple[dict[str, Any], Any]:
    """The state of a small training, and its optimiser."""
    torch.manual_seed(0)
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"identity": {"quantizer": {"kind": "gaussian"}}, "step": 3, "sums": {"loss": torch.tensor(1.0)},
             "summed": {"loss": 2}, "model": network.state_dict(), "optimizer": optimizer.state_dict()}  # fmt: skip
    return state, optimizer


def checkpoint() -> bytes:
    file = io.BytesIO()
    torch.save(training()[0], file)
    return file.getvalue()


def read_checkpoint(content: bytes, path: Path) -> None:
    """As `Trainer.resume`: what raises there one of these is an error of the training's."""
    path.write_bytes(content)
    state = load_checkpoint(path, torch.device("cpu"))
    expected, optimizer = training()
    try:
        if unlike({name: expected[name] for name in ("model", "optimizer")}, state):
            raise SqcodecError("another training")
        load_optimizer_(optimizer, state["optimizer"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError) as error:
        raise SqcodecError(str(error)) from None


def lists() -> list[bytes]:
    return [b"path\tspeaker\tsplit\na/1.wav\tp1\ttrain\na/2.wav\tp1\ttest\nb/3.flac\tp2\ttrain\n"]


def read_table(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    folder.read_list(path)


def items() -> list[bytes]:
    heading = b"#file onset offset #phone prev-phone next-phone speaker\n"
    rows = [
        b"f%d %.1f %.1f %s x y s%d\n" % (n, n / 10, n / 10 + 0.2, b"ab"[n % 2 : n % 2 + 1], n % 3) for n in range(12)
    ]
    triples = b"a\tb\tx\tphone_1\tphone_2\tspeaker_1\tspeaker_2\tcontext\nf1\tf2\tf3\ta\tb\ts1\ts2\tx y\n"
    return [heading + b"".join(rows), triples]


def read_items(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    read_task(path)


def archives() -> list[bytes]:
    with zipfile.ZipFile(packed := io.BytesIO(), "w") as file:
        file.writestr("wav48/a.wav", b"audio")
    with tarfile.open(fileobj=(tarred := io.BytesIO()), mode="w:gz") as tar:
        member = tarfile.TarInfo("english/a.wav")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"audio"))
    return [packed.getvalue(), tarred.getvalue()]


def read_archive(content: bytes, path: Path) -> str | None:
    """Unpack what lies there already; nothing may appear outside the folder, or stay of what fails."""
    data = path.with_suffix(".data")
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    kind = "zip" if content.startswith(b"PK") else "tgz"
    (data / f"c.{kind}").write_bytes(content)
    source = Source(name="test", url=f"http://nowhere/c.{kind}", size=1000, sha256=None, inside=None)
    if kind == "zip":
        source = replace(source, sha256=hashlib.sha256(content).hexdigest(), inside="C")
    before = set(path.parent.iterdir())
    try:
        download.fetch(source, data, progress=lambda *_: None)
    finally:
        left = list(data.glob("*.unpacking"))
        outside = set(path.parent.iterdir()) - before
    return f"left {left}, outside {outside}" if left or outside else None


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


def recover(content: bytes, known: Known, space: CodeSpace = SPACE) -> str | None:
    try:
        done = recovery.recover(content, space, where="x")
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
