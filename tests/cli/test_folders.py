"""Folders on the command line: the tree is mirrored, what is there is kept, failures are listed at the end."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.bitstream.sqc_header import read_header
from tests.cli.runner import NEWEST, refused, run
from tests.conftest import make_model, speech_like


@pytest.fixture
def recordings(workplace: Path) -> Path:
    for name in ("a.wav", "b.flac", "deep/er/c.wav", "deep/d.wav", "deep/d.flac", ".hidden.wav"):
        path = Path("in") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech_like(4000 + len(name)), 16000)
    Path("in/notes.txt").write_text("not a recording")
    return workplace


def tree(folder: str) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_encode_and_decode_mirror_the_tree(recordings: Path, jobs) -> None:
    result = run("encode", "in", "out", "--speaker", "s5", "--jobs", jobs)
    assert result.exit_code == 0, result.output
    size = sum(path.stat().st_size for path in Path("out").rglob("*.sqc"))
    seconds = sum(soundfile.info(path).duration for path in Path("in").rglob("*.*a*") if path.name[0] != ".")
    assert result.stdout == f"out: 5 files, {seconds:.2f} s, {size} bytes: {8 * size / seconds:.0f} bit/s\n"
    assert result.stderr == NEWEST
    assert tree("out") == ["a.sqc", "b.sqc", "deep/d.flac.sqc", "deep/d.wav.sqc", "deep/er/c.sqc"]
    assert run("encode", "in/a.wav", "alone.sqc", "--speaker", "s5").exit_code == 0
    assert Path("alone.sqc").read_bytes() == Path("out/a.sqc").read_bytes()
    result = run("decode", "out", "back", "--jobs", jobs)
    assert (result.exit_code, result.stdout) == (0, f"back: 5 files, {seconds:.2f} s\n")
    assert tree("back") == ["a.wav", "b.wav", "deep/d.flac.wav", "deep/d.wav.wav", "deep/er/c.wav"]
    assert soundfile.info("back/a.wav").frames == soundfile.info("in/a.wav").frames


def test_files_that_are_up_to_date_are_kept(recordings: Path) -> None:
    assert run("encode", "in", "out", "--speaker", "s5", "--format", "npy").exit_code == 0
    before = {path: path.stat().st_mtime_ns for path in Path("out").rglob("*.npy")}
    Path("out/a.npy").unlink()
    Path("out/b.npy").write_bytes(b"damaged")
    soundfile.write("in/deep/er/c.wav", speech_like(9000), 16000)
    changed = before[Path("out/deep/er/c.npy")] + 10**9
    os.utime("in/deep/er/c.wav", ns=(changed, changed))
    result = run("encode", "in", "out", "--speaker", "s5", "--format", "npy")
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("out: 3 files, ")
    assert result.stdout.endswith("; 2 were there already\n")
    same = {path for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert same == {Path("out/deep/d.wav.npy"), Path("out/deep/d.flac.npy")}


def test_codes_of_another_model_are_encoded_again(recordings: Path) -> None:
    assert run("encode", "in", "out", "--speaker", "s5").exit_code == 0
    make_model(Path("runs/other/model.safetensors"), seed=1)
    before = read_header(Path("out/a.sqc").read_bytes(), where="x").identity
    result = run("encode", "in", "out", "--speaker", "s5", "--model", "other")
    assert "already" not in result.stdout
    assert read_header(Path("out/a.sqc").read_bytes(), where="x").identity != before


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_failures_are_listed_and_do_not_stop_the_others(recordings: Path, jobs) -> None:
    Path("in/bad.wav").write_bytes(b"junk")
    Path("in/deep/empty.flac").write_bytes(b"")
    result = run("encode", "in", "out", "--speaker", "s5", "--jobs", jobs)
    assert result.exit_code == 1
    assert result.stdout.startswith("out: 5 files, ")
    lines = result.stderr.removeprefix(NEWEST).splitlines()
    assert lines[0] == "Error: 2 of 7 files failed:"
    assert [line.partition(": ")[0] for line in lines[1:]] == ["  in/bad.wav", "  in/deep/empty.flac"]
    assert len(tree("out")) == 5
    Path("out/deep/d.wav.sqc").write_bytes(b"SQCjunk")
    result = run("decode", "out", "back", "--jobs", jobs)
    assert result.exit_code == 1
    assert result.stdout.startswith("back: 4 files, ")
    assert result.stderr.startswith("Error: 1 of 5 files failed:\n  out/deep/d.wav.sqc: .sqc version 6, this")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("encode in in/out", "in/out: lies within in; write to a folder beside it"),
        ("encode in in.wav", "in.wav: a file; in is a folder, so expected the folder to write to"),
        ("encode runs out", "runs: no recordings in it; expected files named .wav, .flac, .ogg, .oga, .opus, .mp3,"),
        ("decode in out", "in: no codes files in it; expected files named .sqc, .npy"),
    ],
)
def test_wrong_folders_are_refused(recordings: Path, arguments, text) -> None:
    assert refused(*arguments.split()).startswith(f"Error: {text}")


def test_options_for_one_file_are_usage_errors(recordings: Path) -> None:
    for arguments in (
        ["encode", "in", "out", "--raw", "s16le", "--rate", "8000"],
        ["decode", "in", "out", "--recover"],
    ):
        assert "not a folder." in refused(*arguments, exit_code=2)


def test_quiet_prints_only_errors(recordings: Path) -> None:
    for arguments in (["in", "out"], ["in.wav", "one.sqc"], ["in.wav", "-"]):
        result = run("encode", *arguments, "--quiet")
        assert (result.exit_code, result.stderr) == (0, "")
        assert result.stdout_bytes == (Path("one.sqc").read_bytes() if arguments[1] == "-" else b"")
    assert run("decode", "one.sqc", "one.wav", "-q").output == ""
    assert refused("encode", "none.wav", "x.sqc", "-q").startswith("Error: none.wav: missing")


def test_notes_of_one_kind_are_printed_once_with_a_count(workplace: Path) -> None:
    Path("codes").mkdir()
    for name in ("b", "a", "c"):
        np.save(f"codes/{name}.npy", np.arange(40) % 16)
    result = run("decode", "codes", "back", "--speaker", "s5")
    assert result.exit_code == 0, result.output
    assert result.stderr == NEWEST + (
        "codes/a.npy: a bare array, without the model's fingerprint, length, loudness and speaker: taken as codes of"
        " runs/tiny/model.safetensors, 320 samples per code, gain 1 (and 2 more files like it)\n"
    )
    Path("in").mkdir()
    for name in ("one", "two"):
        soundfile.write(f"in/{name}.wav", np.stack([speech_like(4000)] * 2, axis=1), 16000)
    result = run("encode", "in", "out", "--speaker", "s5")
    assert result.stderr == NEWEST + "in/one.wav: 2 channels were mixed down to one (and 1 more file like it)\n"


def test_failures_in_a_folder_name_the_option(workplace: Path) -> None:
    Path("codes").mkdir()
    np.save("codes/a.npy", np.arange(40) % 16)
    result = run("decode", "codes", "back")
    assert result.exit_code == 1
    assert "  codes/a.npy: no speaker is stored; choose one with --speaker: p225, p226, s5" in result.stderr
