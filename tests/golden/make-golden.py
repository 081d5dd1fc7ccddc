"""Write the golden files of a version; a version that exists is never written again: python make-golden.py 2

Run from the root of a checkout. Version 1: a tiny model with tables and without, files of every form that it writes,
and their codes as plain arrays. Version 2: files of two context models, their codes and stages; 2-speech16k: of
speech16k-1. Versions 3 and 4: some of the codes of 1 and 2 in blocks of half a second, for the same models.
`messages`: voice messages of speech16k-1.
"""

import sys
from pathlib import Path

import numpy as np

import sqcodec
from sqcodec.bitstream import message, npy, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.entropy_tables import count
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.model.model_file import add_tables
from tests.bitstream.examples import make_codes, make_space, with_stages
from tests.conftest import make_model, speech_like


def main(version: str) -> None:
    folder = Path(__file__).parent / (version if version == "messages" else f"v{version}")
    folder.mkdir()  # fails where it exists
    {
        "1": write_version_1,
        "2": write_version_2,
        "2-speech16k": write_speech16k,
        "3": write_version_3,
        "4": write_version_4,
        "messages": write_messages,
    }[version](folder)


def write_version_1(folder: Path) -> None:
    model, plain = folder / "model.safetensors", folder / "plain.safetensors"
    make_model(plain)
    codec = sqcodec.load(plain)
    tables = count(
        [codec.encode(speech_like(160_000, seed=seed), 16000, speaker="s5").indices for seed in range(3)], (16,)
    )
    add_tables(plain, model, tables.to_arrays(), tables.digest)
    spaces = {"tables": sqcodec.load(model).space, "plain": codec.space}
    sounds = {"short": (speech_like(1600), 16000), "long": (speech_like(44100 * 26, rate=44100), 44100)}
    for name, (sound, rate) in sounds.items():
        codes = codec.encode(sound, sample_rate=rate, speaker="p226")
        for kind, space in spaces.items():
            write(folder, f"{name}-{kind}", codes, space)
        (folder / f"{name}.npy").write_bytes(npy.pack(codes))
    write(folder, "silence-tables", codec.encode(np.zeros(4000, np.float32), 16000, speaker="p225"), spaces["tables"])
    space = make_space(3, 10)
    np.savez(folder / "three-books.npz", **space.tables.to_arrays())
    write(folder, "three-books", make_codes(16000 * 12, 3, 10), space)
    write(folder, "two-of-three-books", make_codes(12345, 2, 10, sample_rate=12345, speaker=None, gain=0.5), space)


def write_version_2(folder: Path) -> None:
    one, three = make_space(1, 16, context=True), make_space(3, 10, context=True)
    for name, space in {"one": one, "three": three}.items():
        assert space.context is not None
        np.savez(folder / f"{name}.npz", **space.context.arrays)
    write(folder, "one-book", make_codes(16000 * 26), one)
    write(folder, "one-silence", make_codes(4000, gain=0.0), one)
    write(folder, "three-books", make_codes(16000 * 12, 3, 10), three)
    early = with_stages(make_codes(44100 * 16, 3, 10, sample_rate=44100))
    write(folder, "three-ending-early", early, three)
    write(folder, "three-two-of-them", with_stages(make_codes(12345, 2, 10, sample_rate=12345, speaker=None)), three)


def write_speech16k(folder: Path) -> None:
    space = sqcodec.load("speech16k-1").space
    fields = {"fingerprint": space.fingerprint, "speaker": None}
    write(folder, "speech16k-four", make_codes(16000, 4, 256, **fields), space)
    write(folder, "speech16k-ending-early", with_stages(make_codes(16000, 8, 256, **fields)), space)


def write_version_3(folder: Path) -> None:
    space = make_space(3, 10)
    write(folder, "three-books", make_codes(16000 * 12, 3, 10), space, block=25)
    write(folder, "two-of-three-books", make_codes(12345, 2, 10, sample_rate=12345, speaker=None), space, block=25)


def write_version_4(folder: Path) -> None:
    write(folder, "one-book", make_codes(16000 * 26), make_space(1, 16, context=True), block=25)
    early = with_stages(make_codes(44100 * 16, 3, 10, sample_rate=44100))
    write(folder, "three-ending-early", early, make_space(3, 10, context=True), block=25)


def write_messages(folder: Path) -> None:
    space = sqcodec.load("speech16k-1").space
    fields = {"fingerprint": space.fingerprint, "speaker": None}
    codes = {
        "four": make_codes(16000, 4, 256, **fields),
        "ending-early": with_stages(make_codes(16000, 8, 256, **fields)),
        "silence": make_codes(1600, 1, 256, gain=0.0, **fields),
    }
    for name, each in codes.items():
        (folder / f"{name}.bin").write_bytes(message.pack(each, space))
        np.save(folder / f"{name}.codes.npy", each.used.astype(np.int16))


def write(folder: Path, name: str, codes: sqcodec.Codes, space: CodeSpace, *, block: int = BLOCK) -> None:
    (folder / f"{name}.sqc").write_bytes(sqc.pack(codes, space, block=block))
    if folder.name.startswith(("v2", "v4")):
        stages = np.full(codes.indices.shape[1], len(codes.indices), np.uint8) if codes.stages is None else codes.stages
        np.save(folder / f"{name}.stages.npy", stages)
    np.save(folder / f"{name}.codes.npy", codes.indices)


if __name__ == "__main__":
    main(sys.argv[1])
