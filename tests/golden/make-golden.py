"""Write the golden files of this version; a version that exists is never written again: python make-golden.py 1

Run from the root of a checkout. For each version: a tiny model with tables and without, files of every form that it
writes, and their codes as plain arrays.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

import sqcodec
from sqcodec.bitstream import npy, sqc
from sqcodec.bitstream.code_space import CodeSpace
from sqcodec.bitstream.entropy_tables import count
from sqcodec.model.model_file import add_tables
from tests.bitstream.examples import make_codes, make_space
from tests.conftest import make_model, speech_like


def main(version: str) -> None:
    folder = Path(__file__).parent / f"v{version}"
    folder.mkdir()  # fails where it exists
    model, plain = folder / "model.safetensors", folder / "plain.safetensors"
    make_model(plain)
    codec = sqcodec.load(plain)
    tables = count([codec.encode(speech_like(160_000, seed=seed), speaker="s5").indices for seed in range(3)], (16,))
    add_tables(plain, model, tables.to_arrays(), tables.digest)
    spaces = {"tables": sqcodec.load(model).space, "plain": codec.space}
    sounds = {"short": (speech_like(1600), 16000), "long": (speech_like(44100 * 26, rate=44100), 44100)}
    for name, (sound, rate) in sounds.items():
        codes = codec.encode(sound, sample_rate=rate, speaker="p226")
        for kind, space in spaces.items():
            write(folder, f"{name}-{kind}", codes, space)
        (folder / f"{name}.npy").write_bytes(npy.pack(codes))
    write(folder, "silence-tables", codec.encode(np.zeros(4000, np.float32), speaker="p225"), spaces["tables"])
    space = make_space(3, 10)
    np.savez(folder / "three-books.npz", **space.tables.to_arrays())
    write(folder, "three-books", make_codes(16000 * 12, 3, 10), space)
    write(folder, "two-of-three-books", make_codes(12345, 2, 10, sample_rate=12345, speaker=None, gain=0.5), space)


def write(folder: Path, name: str, codes: sqcodec.Codes, space: CodeSpace) -> None:
    (folder / f"{name}.sqc").write_bytes(sqc.pack(codes, space))
    fields = {field.name: getattr(codes, field.name) for field in dataclasses.fields(codes)}
    np.save(folder / f"{name}.codes.npy", fields.pop("indices"))


if __name__ == "__main__":
    main(sys.argv[1])
