"""Folders on the command line: the tree is mirrored, what is there is kept, failures are listed at the end."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from sqcodec import tensor_files
from sqcodec.bitstream.sqc_header import read_header
from sqcodec.model.model_file import load_model, save_model
from sqcodec.model.model_header import KIND
from sqcodec.pipeline.coding.folder_record import NAME
from sqcodec.spectrogram import FEATURES
from sqcodec.vocoder.istft import IstftNetwork
from sqcodec.vocoder.vocoder_file import save_vocoder
from tests.cli.runner import CHOSEN, refused, run
from tests.cli.test_codebooks import RESIDUAL
from tests.conftest import make_model, speech_like
from tests.vocoder.conftest import small_istft

SHIPPED = Path(__file__).parents[2] / "sqcodec" / "models"


@pytest.fixture
def recordings(workplace: Path) -> Path:
    for name in ("a.wav", "b.flac", "deep/er/c.wav", "deep/d.wav", "deep/d.flac", ".hidden.wav"):
        path = Path("in") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech_like(4000 + len(name)), 16000)
    Path("in/notes.txt").write_text("not a recording")
    return workplace


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_codes_that_are_read_together_decode_as_alone(workplace: Path, jobs: int) -> None:
    """Of a residual model with many files, one of them damaged, and one of another format."""
    make_model(Path("runs/tiny/model.safetensors"), RESIDUAL, speakers=("p225",))
    for number in range(9):
        Path("in").mkdir(exist_ok=True)
        soundfile.write(f"in/{number}.wav", speech_like(4000 + 700 * number, seed=number), 16000)
    assert run("encode", "in", "codes").exit_code == 0
    assert run("encode", "in/3.wav", "codes/3.npy").exit_code == 0
    bad = Path("codes/5.sqc")
    bad.write_bytes(bad.read_bytes()[:-1])
    done = run("decode", "codes", "out", "--jobs", str(jobs))
    assert done.exit_code == 1
    assert done.stderr.count("codes/5.sqc: the checksum does not match") == 1
    for number in (0, 4, 8):
        assert run("decode", f"codes/{number}.sqc", "alone.wav").exit_code == 0
        assert Path(f"out/{number}.wav").read_bytes() == Path("alone.wav").read_bytes()
    assert len(list(Path("out").glob("*.wav"))) == 9


NONE_ELSE = "0 redone, 0 kept, 0 failed"


def tree(folder: str) -> list[str]:
    """The files of a folder but for its record."""
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != NAME]
    return sorted(path.relative_to(folder).as_posix() for path in paths)


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_encode_and_decode_mirror_the_tree(recordings: Path, jobs) -> None:
    result = run("encode", "in", "out", "--speaker", "s5", "--jobs", jobs)
    assert result.exit_code == 0, result.output
    size = sum(path.stat().st_size for path in Path("out").rglob("*.sqc"))
    seconds = sum(soundfile.info(path).duration for path in Path("in").rglob("*.*a*") if path.name[0] != ".")
    assert result.stdout == f"out: 5 new, {NONE_ELSE}; {seconds:.2f} s, {size} bytes: {8 * size / seconds:.0f} bit/s\n"
    assert result.stderr == f"{CHOSEN}\n"
    assert tree("out") == ["a.sqc", "b.sqc", "deep/d.flac.sqc", "deep/d.wav.sqc", "deep/er/c.sqc"]
    assert run("encode", "in/a.wav", "alone.sqc", "--speaker", "s5").exit_code == 0
    assert Path("alone.sqc").read_bytes() == Path("out/a.sqc").read_bytes()
    result = run("decode", "out", "back", "--jobs", jobs)
    assert (result.exit_code, result.stdout) == (0, f"back: 5 new, {NONE_ELSE}; {seconds:.2f} s\n")
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
    assert result.stdout.startswith("out: 1 new, 2 redone, 2 kept, 0 failed; ")
    same = {path for path, time in before.items() if path.stat().st_mtime_ns == time}
    assert same == {Path("out/deep/d.wav.npy"), Path("out/deep/d.flac.npy")}


@pytest.mark.parametrize("changed", [["--speaker", "p225"], ["--format", "npy"], ["--model", "runs/other"]])
def test_codes_of_other_settings_are_encoded_again(recordings: Path, changed) -> None:
    """Another model under the same fingerprint too: its encoder decides the codes."""
    other = load_model(Path("runs/tiny/model.safetensors"))
    with torch.no_grad():
        next(other.encoder.parameters()).mul_(2)
    Path("runs/other").mkdir()
    save_model(Path("runs/other/model.safetensors"), other, 7)
    os.utime("runs/other/model.safetensors", (0, 0))  # `runs/tiny` stays the newest
    usual = ["encode", "in", "out", "--speaker", "s5"]
    assert run(*usual).exit_code == 0
    kept, redone = run(*usual), run(*usual, *changed)
    assert kept.stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")
    assert redone.stdout.startswith(f"out: {'5 new, 0' if 'npy' in changed else '0 new, 5'} redone, 0 kept, 0 failed; ")


def test_codes_of_another_type_are_encoded_again(recordings: Path) -> None:
    usual = ["encode", "in", "out", "--speaker", "s5", "--format", "npy"]
    assert run(*usual).stdout.startswith("out: 5 new, ")
    assert run(*usual, "--dtype", "int32").stdout.startswith("out: 0 new, 5 redone, 0 kept, 0 failed; ")
    assert np.load("out/b.npy").dtype == np.int32


def test_codes_of_another_number_of_codebooks_are_encoded_again(recordings: Path) -> None:
    make_model(Path("runs/three/model.safetensors"), RESIDUAL)
    usual = ["encode", "in", "out", "--speaker", "s5", "--model", "three"]
    assert run(*usual, "--codebooks", 1).stdout.startswith("out: 5 new, ")
    assert run(*usual, "--bitrate", 600).stdout.startswith("out: 0 new, 5 redone, 0 kept, 0 failed; ")
    assert run(*usual, "--codebooks", 3).stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")
    result = run(*usual, "--bitrate", 99999)
    assert result.stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")
    assert result.stderr == "--bitrate 99999: the model's highest is 600 bit/s, which is used\n"


@pytest.mark.parametrize("changed", [["--rate", "8000"], ["--speaker", "p225"], ["--model", "runs/zother"]])
def test_sound_of_other_settings_is_decoded_again(recordings: Path, changed) -> None:
    assert run("encode", "in", "codes", "--speaker", "s5").exit_code == 0
    model = Path("runs/zother/model.safetensors")
    model.parent.mkdir()
    save_model(model, load_model(Path("runs/tiny/model.safetensors")), 8)  # the same but for its step
    os.utime(model, (0, 0))
    assert run("decode", "codes", "back").stdout.startswith("back: 5 new, ")
    kept, redone = run("decode", "codes", "back"), run("decode", "codes", "back", *changed)
    assert kept.stdout.startswith("back: 0 new, 0 redone, 5 kept, 0 failed; ")
    assert redone.stdout.startswith("back: 0 new, 5 redone, 0 kept, 0 failed; ")


def test_a_recording_that_was_replaced_by_an_older_one_is_encoded_again(recordings: Path) -> None:
    usual = ["encode", "in", "out", "--speaker", "s5"]
    assert run(*usual).exit_code == 0
    soundfile.write("in/a.wav", speech_like(9000), 16000)
    os.utime("in/a.wav", (1, 1))
    assert run(*usual).stdout.startswith("out: 0 new, 1 redone, 4 kept, 0 failed; ")
    assert run(*usual).stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")


def test_a_record_with_damaged_lines_is_read(recordings: Path) -> None:
    usual = ["encode", "in", "out", "--speaker", "s5"]
    assert run(*usual).exit_code == 0
    record = Path("out", NAME)
    record.write_bytes(b"\xff[[[\n{}\n3\n" + record.read_bytes()[:-20])
    assert run(*usual).stdout.startswith("out: 0 new, 1 redone, 4 kept, 0 failed; ")
    assert run(*usual).stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")


def test_every_recording_has_an_output_of_its_own(workplace: Path) -> None:
    Path("in").mkdir()
    for name in ("a.wav", "a.flac", "a.wav.wav"):
        soundfile.write(Path("in", name), speech_like(4000), 16000)
    assert run("encode", "in", "out", "--speaker", "s5").stdout.startswith("out: 3 new, ")
    assert tree("out") == ["a.flac.sqc", "a.wav.sqc", "a.wav.wav.sqc"]


def test_json_has_everything(recordings: Path) -> None:
    soundfile.write("in/b.flac", np.stack([2 * speech_like(4000)] * 2, axis=1), 16000)
    Path("in/bad.wav").write_bytes(b"junk")
    result = run("encode", "in", "out", "--speaker", "s5", "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, result.stderr.splitlines()[0]) == (1, "Error: 1 of 6 files failed:")
    assert [found[outcome] for outcome in ("new", "redone", "kept", "failed")] == [5, 0, 0, 1]
    text = "in/b.flac: 2 channels were mixed down to one"
    assert found["notes_by_kind"] == [{"kind": "mixed down", "files": 1, "example": text}]
    assert found["notes"] == [CHOSEN]
    files = {file["source"]: file for file in found["files"]}
    assert files["in/b.flac"]["notes"] == [{"kind": "mixed down", "text": text}]
    assert (files["in/a.wav"]["output"], files["in/a.wav"]["outcome"]) == ("a.sqc", "new")
    assert files["in/bad.wav"]["reason"].startswith("in/bad.wav: broken: ")
    one = json.loads(run("encode", "in/b.flac", "b.sqc", "--speaker", "s5", "--json").stdout)
    assert one["notes"][0] == {"kind": "mixed down", "text": text}
    assert one["size"] == Path("b.sqc").stat().st_size
    sound = json.loads(run("decode", "b.sqc", "b.wav", "--json").stdout)
    assert (sound["samples"], sound["speaker"], sound["lost"]) == (4000, "s5", [])


def test_codes_of_another_model_are_encoded_again(recordings: Path) -> None:
    assert run("encode", "in", "out", "--speaker", "s5").exit_code == 0
    make_model(Path("runs/other/model.safetensors"), seed=1)
    before = read_header(Path("out/a.sqc").read_bytes(), where="x").identity
    result = run("encode", "in", "out", "--speaker", "s5", "--model", "other")
    assert result.stdout.startswith("out: 0 new, 5 redone, 0 kept, 0 failed; ")
    assert read_header(Path("out/a.sqc").read_bytes(), where="x").identity != before


def test_a_model_that_was_replaced_is_opened_anew(recordings: Path) -> None:
    """In one process, such as a notebook's or a worker's."""
    make_model(Path("runs/other/model.safetensors"), seed=1)
    identities = []
    for seed in (1, 2):
        make_model(Path("runs/other/model.safetensors"), seed=seed)
        result = run("encode", "in", "out", "--speaker", "s5", "--model", "other")
        assert result.exit_code == 0, result.output
        identities.append(read_header(Path("out/a.sqc").read_bytes(), where="x").identity)
    assert "5 redone" in result.stdout
    assert identities[0] != identities[1]


def test_a_vocoder_that_was_replaced_is_opened_anew(recordings: Path) -> None:
    assert run("encode", "in", "out", "--speaker", "s5").exit_code == 0
    sounds = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        config, features = small_istft(), FEATURES["paper-mel"]
        network = IstftNetwork(config, features)
        save_vocoder(Path("vocoder.safetensors"), network, config=config, features=features, step=1, codec=None)
        result = run("decode", "out", "back", "--vocoder", "vocoder.safetensors")
        assert result.exit_code == 0, result.output
        sounds.append(Path("back/a.wav").read_bytes())
    assert "5 redone" in result.stdout
    assert sounds[0] != sounds[1]


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_failures_are_listed_and_do_not_stop_the_others(recordings: Path, jobs) -> None:
    Path("in/bad.wav").write_bytes(b"junk")
    Path("in/deep/empty.flac").write_bytes(b"")
    result = run("encode", "in", "out", "--speaker", "s5", "--jobs", jobs)
    assert result.exit_code == 1
    assert result.stdout.startswith("out: 5 new, 0 redone, 0 kept, 2 failed; ")
    lines = result.stderr.removeprefix(f"{CHOSEN}\n").splitlines()
    assert lines[0] == "Error: 2 of 7 files failed:"
    assert [line.partition(": ")[0] for line in lines[1:]] == ["  in/bad.wav", "  in/deep/empty.flac"]
    assert len(tree("out")) == 5
    Path("out/deep/d.wav.sqc").write_bytes(b"SQCjunk")
    result = run("decode", "out", "back", "--jobs", jobs)
    assert result.exit_code == 1
    assert result.stdout.startswith("back: 4 new, 0 redone, 0 kept, 1 failed; ")
    assert result.stderr.startswith("Error: 1 of 5 files failed:\n  out/deep/d.wav.sqc: .sqc version 6, this")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("encode in -", "-: standard output; in is a folder, so expected the folder to write to"),
        ("encode in in/out", "in/out: lies within in; write to a folder beside it"),
        ("encode in in.wav", "in.wav: a file; in is a folder, so expected the folder to write to"),
        ("encode in o.sqc", "o.sqc: the name of a file; in is a folder, so expected the folder to write to"),
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


@pytest.mark.parametrize("given", [("--backend", "dask"), ("--scheduler", "tcp://127.0.0.1:9")])
def test_a_cluster_has_nothing_to_do_with_one_file(recordings: Path, given: tuple[str, ...]) -> None:
    text = refused("encode", "in/a.wav", "a.sqc", *given, exit_code=2)
    assert "--backend and --scheduler are for folders." in text


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
    assert result.stderr == (
        "bare array, 3 files: codes/a.npy: a bare array, without the model's fingerprint, length, loudness and speaker:"
        " taken as codes of runs/tiny, 320 samples per code, gain 1\n"
        f"model, 3 files: {CHOSEN}\n"
    )
    Path("in").mkdir()
    for name in ("one", "two"):
        soundfile.write(f"in/{name}.wav", np.stack([speech_like(4000)] * 2, axis=1), 16000)
    result = run("encode", "in", "out", "--speaker", "s5")
    assert result.stderr == f"{CHOSEN}\n" + "mixed down, 2 files: in/one.wav: 2 channels were mixed down to one\n"


def test_failures_in_a_folder_name_the_option(workplace: Path) -> None:
    Path("codes").mkdir()
    np.save("codes/a.npy", np.arange(40) % 16)
    result = run("decode", "codes", "back")
    assert result.exit_code == 1
    assert "  codes/a.npy: no speaker is stored; choose one with --speaker: p225, p226, s5" in result.stderr


def test_recordings_that_cannot_be_read_are_counted(recordings: Path) -> None:
    for name in ("in/e.m4a", "in/deep/f.WMA", "in/g.m4a"):
        Path(name).write_bytes(b"whatever")
    result = run("encode", "in", "out", "--speaker", "s5")
    assert result.exit_code == 0
    assert "in: left out 3 files that cannot be read (.m4a, .wma); convert them to FLAC\n" in result.stderr


@pytest.mark.parametrize("verb", ["encode", "decode"])
def test_a_missing_source_is_named_first(recordings: Path, verb) -> None:
    assert refused(verb, "nowhere/", "out/") == "Error: nowhere: no such file or folder\n"
    assert refused(verb, "nowhere.wav", "out") == "Error: nowhere.wav: no such file or folder\n"


def test_an_effort_without_a_search_is_a_usage_error(recordings: Path) -> None:
    text = "--effort is of the search for --bitrate, --quality or --max-bytes; give one of them."
    assert text in refused("encode", "in/a.wav", "a.sqc", "--effort", "3", exit_code=2)


def test_ctrl_c_says_that_the_same_command_goes_on(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqcodec.pipeline.coding import folder_work

    encode, coded = folder_work.encode_with, []

    def interrupted(*args, **options):
        if len(coded) == 2:
            raise KeyboardInterrupt
        coded.append(args)
        return encode(*args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(folder_work, "encode_with", interrupted)
        stopped = run("encode", "in", "codes", "--speaker", "s5")
    assert stopped.exit_code == 1
    text = "Error: stopped; what is finished is kept, and the same command goes on from there"
    assert stopped.stderr.splitlines()[-1] == text
    again = run("encode", "in", "codes", "--speaker", "s5")
    assert again.exit_code == 0
    assert "2 kept" in again.stdout


@pytest.mark.parametrize(
    ("work", "arguments"),
    [
        ("sqcodec.pipeline.training.prepare.prepare", ("prep", "folder", "--data", "in")),
        ("sqcodec.pipeline.measuring.evaluation.evaluate", ("evaluate", "runs/tiny", "--data", "in", "--out", "out")),
        ("sqcodec.pipeline.coding.folders.decode_folder", ("decode", "in", "out")),
        ("sqcodec.pipeline.coding.exporting.export_folder", ("export", "in", "out")),
    ],
)
def test_so_does_other_work_that_is_kept(recordings: Path, monkeypatch: pytest.MonkeyPatch, work, arguments) -> None:
    def interrupted(*_args, **_options):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, interrupted)
    stopped = run(*arguments)
    assert stopped.exit_code == 1
    assert stopped.stderr == "Error: stopped; what is finished is kept, and the same command goes on from there\n"


def test_recordings_of_another_folder_are_others(workplace: Path) -> None:
    """Equal names, lengths and times, as an archive may give them."""
    for number, folder in enumerate(("A", "B")):
        Path(folder).mkdir()
        soundfile.write(f"{folder}/a.wav", speech_like(4000, seed=number), 16000)
        os.utime(f"{folder}/a.wav", (0, 0))
    run("encode", "A", "codes", "--speaker", "s5")
    first = Path("codes/a.sqc").read_bytes()
    assert "1 redone" in run("encode", "B", "codes", "--speaker", "s5").stdout
    assert Path("codes/a.sqc").read_bytes() != first
    assert "1 kept" in run("encode", "B", "codes", "--speaker", "s5").stdout


def test_what_another_process_wrote_meanwhile_is_not_kept(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqcodec.pipeline.coding import folder_work

    encode = folder_work.encode_with

    def overtaken(codec, audio, target, **options):
        result = encode(codec, audio, target, **options)
        Path(target).write_bytes(b"of another process")
        return result

    with monkeypatch.context() as patched:
        patched.setattr(folder_work, "encode_with", overtaken)
        assert "5 new" in run("encode", "in", "codes", "--speaker", "s5").stdout
    assert "5 redone" in run("encode", "in", "codes", "--speaker", "s5").stdout


def test_links_to_nothing_have_failed(recordings: Path) -> None:
    Path("in/gone.wav").symlink_to("/nowhere/gone.wav")
    done = run("encode", "in", "codes", "--speaker", "s5")
    assert done.exit_code == 1
    assert "5 new" in done.stdout
    assert "in/gone.wav: missing: no such file" in done.stderr


def test_messages_are_no_folder(recordings: Path) -> None:
    assert "messages.bin: the name of a file" in refused("encode", "in", "messages.bin")
    Path("codes").mkdir()
    assert run("encode", "in/a.wav", "codes/a.sqc", "--speaker", "s5").exit_code == 0
    Path("codes/m-001.bin").write_bytes(b"one")
    done = run("decode", "codes", "out")
    assert done.stderr == "codes: left out 1 messages (.bin); name those of one recording together\n"


@pytest.mark.ships
def test_another_neighbour_is_another_model(workplace: Path) -> None:
    """Of a model that shares arrays the neighbour encodes."""
    for name in ("speech16k", "speech16k-live"):
        shutil.copytree(SHIPPED / name, name)
    Path("in").mkdir()
    soundfile.write("in/a.wav", speech_like(4000), 16000)
    arguments = ("encode", "in", "codes", "--model", "speech16k-live/model.safetensors")
    assert "1 new" in run(*arguments).stdout
    assert "1 kept" in run(*arguments).stdout
    path = Path("speech16k/model.safetensors")
    header, arrays = tensor_files.read_file(path, KIND)
    name = next(name for name in arrays if name.startswith("encoder") and name.endswith("bias"))
    tensor_files.save_arrays(path, {**arrays, name: arrays[name] + np.float16(0.5)}, header, KIND)
    assert "1 redone" in run(*arguments).stdout


def test_what_is_left_of_files_that_are_gone_is_named(workplace: Path) -> None:
    """A folder that is decoded or scored later would have them as well."""
    source, codes, sound = workplace / "few", workplace / "codes", workplace / "sound"
    (source / "s").mkdir(parents=True)
    for name in ("a.wav", "s/b.wav", "c.wav"):
        soundfile.write(source / name, speech_like(4000), 16000)
    assert "left of" not in run("encode", source, codes).output
    (source / "c.wav").unlink()
    soundfile.write(source / "a.flac", speech_like(3000), 16000)
    text = f"left of an earlier run, and of no file that is there now: {codes / 'a.sqc'}, {codes / 'c.sqc'}; remove"
    assert text in " ".join(run("encode", source, codes).output.split())
    assert text in json.loads(run("encode", source, codes, "--json").stdout)["notes"][-1]
    assert run("encode", source, codes, "--format", "npy").output.count("left of") == 0
    run("decode", codes, sound)
    (codes / "a.sqc").unlink()
    (sound / "c.wav").write_bytes(b"of another program")
    (codes / "c.sqc").unlink()
    output = " ".join(run("decode", codes, sound).output.split())
    assert "left of an earlier run" in output
    assert "c.wav" not in output
