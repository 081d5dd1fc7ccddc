"""`.sqc` on the command line: sizes, pipes, raw sound, tables, damage."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

import sqcodec
from sqcodec.bitstream.entropy_tables import count
from sqcodec.bitstream.sqc_header import read_header
from sqcodec.model.model_file import add_tables
from tests.bitstream.examples import make_tables
from tests.cli.runner import CHOSEN, MODEL, refused, run
from tests.conftest import make_model, speech_like

TINY = Path("runs/tiny/model.safetensors")


def give_tables(path: Path = TINY) -> None:
    codec = sqcodec.load(path)
    sounds = [speech_like(160_000, seed=seed) for seed in range(2)]
    tables = count([codec.encode(sound, 16000, speaker="s5").indices for sound in sounds], (16,))
    add_tables(path, path, tables.to_arrays(), tables.digest)


@pytest.fixture
def coded(workplace: Path) -> Path:
    """A working folder whose model has tables, with long.sqc of 30 s."""
    give_tables()
    soundfile.write("long.wav", speech_like(16000 * 30), 16000)
    assert run("encode", "long.wav", "long.sqc", "--speaker", "p226").exit_code == 0
    return workplace


def test_the_printed_bit_rate_matches_the_file(coded: Path) -> None:
    result = run("encode", "in.wav", "out.sqc", "--speaker", "s5")
    size = Path("out.sqc").stat().st_size
    assert result.stdout == (
        f"out.sqc: 2.50 s, 126 codes, {size} bytes: {8 * size / 2.5:.0f} bit/s (nominal 200), speaker s5, {CHOSEN}\n"
    )
    assert read_header(Path("out.sqc").read_bytes(), where="x").size == 15


def test_both_formats_hold_the_same_codes(coded: Path) -> None:
    for name in ("out.sqc", "out.npy"):
        assert run("encode", "in.wav", name, "--speaker", "s5").exit_code == 0
        assert run("decode", name, f"{name}.wav").exit_code == 0
    one, other = (soundfile.read(f"out.{form}.wav")[0] for form in ("sqc", "npy"))
    level = one @ other / (other @ other)  # the gain is rounded to half a decibel; the codes are the same
    assert abs(20 * np.log10(level)) < 0.26
    assert np.abs(one - level * other).max() < 2**-14  # 16-bit samples


def test_a_pipe_carries_sqc_and_a_wav(coded: Path) -> None:
    piped = run("encode", "-", "-", stdin=Path("in.wav").read_bytes())
    assert piped.exit_code == 0, piped.stderr
    assert run("encode", "in.wav", "out.sqc").exit_code == 0
    assert piped.stdout_bytes == Path("out.sqc").read_bytes()
    sound = run("decode", "-", "-", stdin=piped.stdout_bytes)
    assert run("decode", "out.sqc", "out.wav").exit_code == 0
    assert sound.stdout_bytes == Path("out.wav").read_bytes()


def test_raw_input_and_output(coded: Path) -> None:
    samples = (soundfile.read("in.wav")[0] * 32768).astype("<i2")
    raw = run("encode", "-", "-", "--raw", "s16le", "--rate", "16000", stdin=samples.tobytes())
    assert raw.exit_code == 0, raw.stderr
    assert raw.stdout_bytes == run("encode", "-", "-", stdin=Path("in.wav").read_bytes()).stdout_bytes
    Path("in.f32").write_bytes((samples / np.float32(32768)).astype("<f4").tobytes())
    assert run("encode", "in.f32", "f32.sqc", "--raw", "f32le", "--rate", "16000").exit_code == 0
    assert Path("f32.sqc").read_bytes() == raw.stdout_bytes
    sound = run("decode", "f32.sqc", "-", "--raw", "s16le", "--rate", "8000")
    assert len(sound.stdout_bytes) == 2 * 20_000
    assert run("decode", "f32.sqc", "out.wav", "--rate", "8000").exit_code == 0
    assert soundfile.read("out.wav", dtype="int16")[0].astype("<i2").tobytes() == sound.stdout_bytes


def test_raw_refuses(coded: Path) -> None:
    assert refused("encode", "-", "x.sqc", "--raw", "s16le", "--rate", "8000", stdin=b"odd") == (
        "Error: standard input: broken: got 3 bytes, expected a multiple of 2 (s16le samples)\n"
    )
    for option in (["--raw", "s16le"], ["--rate", "8000"]):
        text = refused("encode", "in.wav", "x.sqc", *option, exit_code=2)
        assert "--raw and --rate need each other: samples without a header have no rate." in text
    assert refused("decode", "long.sqc", "x.wav", "--raw", "s16le") == (
        "Error: x.wav: unknown suffix '.wav', expected one of: .raw, .pcm\n"
    )


def test_a_suffix_and_a_format_that_differ_are_refused(coded: Path) -> None:
    assert refused("encode", "in.wav", "x.npy", "--format", "sqc") == (
        "Error: x.npy: the suffix says npy, --format says sqc; change one of them\n"
    )


def test_files_without_tables_decode_with_tables(workplace: Path) -> None:
    for name in ("old.sqc", "old.npy"):
        assert run("encode", "in.wav", name, "--speaker", "p225").exit_code == 0
        assert run("decode", name, f"{name}.wav").exit_code == 0
    give_tables()
    assert run("encode", "in.wav", "new.sqc", "--speaker", "p225").exit_code == 0
    assert Path("new.sqc").read_bytes()[4:10] != Path("old.sqc").read_bytes()[4:10]
    for name in ("old.sqc", "old.npy"):
        assert run("decode", name, "again.wav").exit_code == 0
        assert Path("again.wav").read_bytes() == Path(f"{name}.wav").read_bytes()


def test_other_tables_give_another_identity(coded: Path) -> None:
    identity = read_header(Path("long.sqc").read_bytes(), where="x").identity
    make_model(TINY)
    assert refused("decode", "long.sqc", "o.wav").startswith(f"Error: no model of fingerprint {identity}, which")
    plain = read_header(run("encode", "in.wav", "-", "--speaker", "s5").stdout_bytes, where="x").identity
    assert refused("decode", "long.sqc", "o.wav", "--model", "tiny") == (
        f"Error: {TINY}: fingerprint {plain}, but the codes were written with {identity};"
        " leave --model out to search for it, or name the model that wrote the codes\n"
    )


def test_damaged_tables_are_refused(coded: Path) -> None:
    tables = make_tables(size=8)
    add_tables(TINY, TINY, tables.to_arrays(), tables.digest)
    text = f"Error: {TINY}: its entropy tables are damaged; fetch the model again\n"
    assert refused("encode", "in.wav", "x.sqc") == text


@pytest.mark.parametrize("name", ["long.sqc", "long.npy"])
def test_a_part_is_decoded(coded: Path, name: str) -> None:
    assert run("encode", "long.wav", name, "--speaker", "p226").exit_code == 0
    result = run("decode", name, "part.wav", "--offset", "12.5", "--duration", "4", "--rate", "8000")
    assert result.stdout == f"part.wav: 4.00 s at 8000 Hz, speaker p226, {MODEL}\n"
    assert soundfile.info("part.wav").frames == 32000
    assert run("decode", name, "part.wav", "--offset", "29").stdout.startswith("part.wav: 1.00 s at 16000 Hz")
    text = f"Error: {name}: --offset 30: expected less than 30.00 s, the recording's length\n"
    assert run("decode", name, "part.wav", "--offset", "30").stderr == text


def test_a_part_of_a_damaged_file(coded: Path) -> None:
    """What is intact is decoded as it is; `--recover` says what of the part is lost."""
    damaged = bytearray(Path("long.sqc").read_bytes())
    damaged[len(damaged) // 2] ^= 1  # the second of three blocks
    Path("bad.sqc").write_bytes(damaged)
    for name in ("long.sqc", "bad.sqc"):
        assert run("decode", name, f"{name}.wav", "--offset", "1", "--duration", "2").exit_code == 0
    assert Path("bad.sqc.wav").read_bytes() == Path("long.sqc.wav").read_bytes()
    part = ("decode", "bad.sqc", "part.wav", "--offset", "6", "--duration", "8")
    assert "bad.sqc: the checksum does not match (block 1, from 10 s on)" in run(*part).stderr
    result = run(*part, "--recover")
    assert (result.exit_code, result.stderr) == (
        1, "Error: bad.sqc: damaged: lost codes became silence, 10.00 to 14.00 s\n"
    )  # fmt: skip
    sound = soundfile.read("part.wav")[0]
    assert sound[: 3 * 16000].any()
    assert not sound[4 * 16000 :].any()


def test_parts_are_of_files(workplace: Path) -> None:
    Path("folder").mkdir()
    message = "--raw, --recover, --offset, --duration and --row need a file, not a folder."
    for option in (("--offset", "1"), ("--duration", "1")):
        assert message in refused("decode", "folder", "out", *option, exit_code=2)
        assert f"A message (.bin) does not take {option[0]}." in refused(
            "decode", "a.bin", "out.wav", *option, exit_code=2
        )
        assert f"--stream does not take {option[0]}." in refused(
            "decode", "-", "-", "--stream", "--raw", "s16le", *option, exit_code=2
        )


def test_recover_decodes_the_intact_blocks(coded: Path) -> None:
    content = bytearray(Path("long.sqc").read_bytes())
    content[len(content) // 2] ^= 8
    Path("bad.sqc").write_bytes(content)
    assert refused("decode", "bad.sqc", "o.wav") == (
        "Error: bad.sqc: the checksum does not match (block 1, from 10 s on): the file was damaged, cut, or something"
        " was added; copy or encode it again, or decode what is intact with --recover\n"
    )
    result = run("decode", "bad.sqc", "o.wav", "--recover")
    assert result.exit_code == 1
    assert result.stdout == f"o.wav: 30.00 s at 16000 Hz, speaker p226, {MODEL}\n"
    assert result.stderr == "Error: bad.sqc: damaged: lost codes became silence, 10.00 to 20.00 s\n"
    sound = soundfile.read("o.wav", dtype="int16")[0]
    assert not sound[160_000:320_000].any()
    assert sound[:160_000].any()
    assert sound[320_000:].any()
    assert run("decode", "long.sqc", "whole.wav", "--recover").exit_code == 0
    whole = soundfile.read("whole.wav", dtype="int16")[0]
    assert np.array_equal(sound[:80_000], whole[:80_000])  # what is far from the damage is as without it


def test_tables_from_a_store(workplace: Path) -> None:
    recordings = Path("speech")
    for speaker in ("p225", "p226"):
        (recordings / speaker).mkdir(parents=True)
        for number in range(3):
            soundfile.write(recordings / speaker / f"{number}.wav", speech_like(30_000, seed=number), 16000)
    store = run("prep", "folder", "--data", recordings, "--out", "store")
    assert store.exit_code == 0, store.output
    result = run("tables", "tiny", "--features", "store", "--out", "with.safetensors")
    assert result.exit_code == 0, result.output
    assert re.fullmatch(
        r"with\.safetensors: \d+ codes counted; bits per code on test: 4\.00 at fixed width, \d\.\d\d of order 0,"
        r" \d\.\d\d of order 1\n",
        result.stdout,
    )
    copied = shutil.copy(TINY, "copy.safetensors")
    assert run("tables", copied, "--features", "store").stdout.startswith(
        "copy.safetensors: "
    )  # in place without --out
    assert Path(copied).read_bytes() == Path("with.safetensors").read_bytes()
    again = run("tables", "with.safetensors", "--features", "store")
    assert (again.exit_code, again.stderr) == (
        1,
        "Error: with.safetensors: has entropy tables, which files may have been written with; name a copy with --out\n",
    )
    sizes = []
    for model in ("tiny", "with.safetensors"):
        assert run("encode", "in.wav", "x.sqc", "--model", model, "--speaker", "s5").exit_code == 0
        sizes.append(Path("x.sqc").stat().st_size)
    assert sizes[1] < sizes[0]
    assert refused("tables", "tiny", "--features", "store", "--split", "dev") == (
        "Error: store has no split 'dev', it has test, train\n"
    )
    assert run("tables", "tiny", "--features", "store").exit_code == 0  # in place
    assert TINY.read_bytes() == Path("with.safetensors").read_bytes()


def test_shorter_blocks_lose_less(workplace: Path) -> None:
    assert run("encode", "in.wav", "long.sqc", "--speaker", "s5").exit_code == 0
    assert run("encode", "in.wav", "short.sqc", "--speaker", "s5", "--block", "0.5").exit_code == 0
    assert run("inspect", "long.sqc").stdout.startswith("long.sqc: .sqc version 1, ")
    assert ".sqc version 3, " in run("inspect", "short.sqc").stdout
    assert ", 5 blocks, " in run("inspect", "short.sqc").stdout
    content = bytearray(Path("short.sqc").read_bytes())
    content[-1] ^= 1  # the last block
    Path("short.sqc").write_bytes(content)
    result = run("decode", "short.sqc", "out.wav", "--recover")
    assert result.exit_code == 1
    assert "lost codes became silence, 2.00 to 2.50 s" in result.stderr
    Path("short.sqc").write_bytes(content[:-40])  # several blocks in a row are one part
    assert "lost codes became silence, 1.00 to 2.50 s\n" in run("decode", "short.sqc", "out.wav", "--recover").stderr
    refusal = "Error: --block is for .sqc files: an .npy has no blocks\n"
    assert refused("encode", "in.wav", "a.npy", "--block", "1") == refusal
    assert "Invalid value for '--block'" in refused("encode", "in.wav", "a.sqc", "--block", "0.1", exit_code=2)


def test_tables_of_a_plain_vae_are_refused_and_nothing_is_written(workplace: Path) -> None:
    from tests.train.conftest import make_store

    make_store(workplace / "corpus", kind="log-mel")
    make_model(Path("runs/vae/model.safetensors"), "quantizer={kind: none, dim: 4}", "features.kind=log-mel")
    before = Path("runs/vae/model.safetensors").read_bytes()
    text = refused("tables", "runs/vae", "--features", "corpus/store")
    assert "a plain VAE (quantizer.kind none) has no codes" in text
    assert Path("runs/vae/model.safetensors").read_bytes() == before
