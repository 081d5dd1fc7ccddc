"""`sqcodec encode` and `sqcodec decode`: what they print, write and refuse."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.bitstream.npy import pack, read_codes, unpack
from sqcodec.codes import Codes
from sqcodec.corpus.audio import AudioSource
from sqcodec.errors import SqcodecError
from tests.cli.runner import CHOSEN, MODEL, refused, run
from tests.conftest import make_model, speech_like


@pytest.fixture
def encoded(workplace: Path) -> Path:
    assert run("encode", "in.wav", "codes.npy", "--speaker", "p225").exit_code == 0
    return workplace


def test_encode_and_decode_keep_the_length(workplace: Path) -> None:
    result = run("encode", "in.wav", "codes.npy")
    assert result.exit_code == 0, result.output
    rate = r"\d{3} bytes: \d{4} bit/s \(nominal 200\)"
    assert re.fullmatch(
        rf"codes.npy: 2\.50 s, 126 codes, {rate}, speaker (p225|p226|s5) \(nearest of 3\), {CHOSEN}\n", result.stdout
    )
    assert result.stderr == ""
    speaker = read_codes(Path("codes.npy")).speaker
    result = run("decode", "codes.npy", "out.wav")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"out.wav: 2.50 s at 16000 Hz, speaker {speaker}, {MODEL}\n"
    info = soundfile.info("out.wav")
    assert (info.frames, info.samplerate, info.channels, info.subtype) == (40_000, 16000, 1, "PCM_16")
    assert sorted(path.name for path in workplace.iterdir()) == ["codes.npy", "in.wav", "out.wav", "runs"]


def test_encode_and_decode_take_a_speaker(workplace: Path) -> None:
    result = run("encode", "in.wav", "codes.npy", "--speaker", "s5")
    size = Path("codes.npy").stat().st_size
    rate = f"{size} bytes: {8 * size / 2.5:.0f} bit/s (nominal 200)"
    assert result.stdout == f"codes.npy: 2.50 s, 126 codes, {rate}, speaker s5, {CHOSEN}\n"
    result = run("decode", "codes.npy", "out.wav", "--speaker", "p226")
    assert result.stdout == f"out.wav: 2.50 s at 16000 Hz, speaker p226, {MODEL}\n"
    assert run("decode", "codes.npy", "own.wav").exit_code == 0
    assert Path("own.wav").read_bytes() != Path("out.wav").read_bytes()


@pytest.mark.parametrize(
    ("name", "rate", "channels", "subtype"),
    [
        ("a.wav", 8000, 1, "PCM_16"), ("a.wav", 44100, 1, "PCM_24"), ("a.wav", 48000, 2, "FLOAT"),
        ("a.flac", 44100, 2, "PCM_24"), ("a.flac", 96000, 1, "PCM_16"), ("a.ogg", 48000, 1, "VORBIS"),
        ("a.wav", 16000, 1, "DOUBLE"), ("a.wav", 11025, 1, "PCM_U8"), ("a.aiff", 22050, 3, "PCM_16"),
    ],
)  # fmt: skip
def test_any_rate_format_and_channels_keep_the_length(workplace: Path, name, rate, channels, subtype) -> None:
    samples = 12_347
    sound = np.repeat(speech_like(samples, rate=rate)[:, None], channels, axis=1)
    soundfile.write(name, sound, rate, subtype=subtype)
    result = run("encode", name, "codes.npy")
    assert result.exit_code == 0, result.output
    mixed = f"{name}: {channels} channels were mixed down to one\n" if channels > 1 else ""
    assert result.stderr == mixed
    assert run("decode", "codes.npy", "out.wav").exit_code == 0
    assert soundfile.info("out.wav").frames == -(-samples * 16000 // rate)
    assert run("decode", "codes.npy", "own.wav", "--rate", rate).exit_code == 0
    assert soundfile.info("own.wav").frames == samples  # its own rate gives back its own length


@pytest.mark.parametrize(("name", "subtype"), [("o.wav", "PCM_16"), ("o.FLAC", "PCM_16"), ("o.ogg", "VORBIS")])
@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_output_formats_and_rates(encoded: Path, name, subtype, rate) -> None:
    result = run("decode", "codes.npy", name, "--rate", rate)
    assert result.exit_code == 0, result.output
    info = soundfile.info(name)
    assert (info.frames, info.samplerate, info.subtype) == (-(-40_000 * rate // 16000), rate, subtype)


def test_encode_and_decode_through_pipes(workplace: Path) -> None:
    on_disk = run("encode", "in.wav", "codes.npy")
    assert on_disk.exit_code == 0
    piped = run("encode", "-", "-", "--format", "npy", stdin=Path("in.wav").read_bytes())
    assert piped.exit_code == 0, piped.stderr
    assert piped.stdout_bytes == Path("codes.npy").read_bytes()
    assert piped.stderr == on_disk.stdout.replace("codes.npy", "-")
    assert run("decode", "codes.npy", "out.wav").exit_code == 0
    sound = run("decode", "-", "-", stdin=piped.stdout_bytes)
    assert sound.exit_code == 0, sound.stderr
    assert sound.stdout_bytes == Path("out.wav").read_bytes()
    assert soundfile.info(io.BytesIO(sound.stdout_bytes)).frames == 40_000
    assert re.fullmatch(rf"-: 2.50 s at 16000 Hz, speaker \w+, {MODEL}\n", sound.stderr)


def test_silence_decodes_to_silence(workplace: Path) -> None:
    soundfile.write("zero.wav", np.zeros(5001), 16000)
    assert run("encode", "zero.wav", "codes.npy").exit_code == 0
    assert run("decode", "codes.npy", "out.wav").exit_code == 0
    sound = soundfile.read("out.wav", dtype="int16")[0]
    assert sound.shape == (5001,)
    assert not sound.any()


def test_decode_clips_and_warns(encoded: Path) -> None:
    codes = read_codes(Path("codes.npy"))
    object.__setattr__(codes, "gain", 1e5)
    Path("loud.npy").write_bytes(pack(codes))
    result = run("decode", "loud.npy", "out.wav")
    assert re.fullmatch(r"out.wav: \d+ of 40000 samples were beyond full scale and were clipped\n", result.stderr), (
        result.output
    )
    assert soundfile.read("out.wav", dtype="int16")[0].max() == 32767


def test_codes_of_int32_are_those_of_uint16(encoded: Path) -> None:
    assert run("encode", "in.wav", "wide.npy", "--speaker", "p225", "--dtype", "int32").exit_code == 0
    wide, codes = np.load("wide.npy"), np.load("codes.npy")
    assert (wide.dtype, codes.dtype) == (np.int32, np.uint16)
    assert np.array_equal(wide, codes)
    for name in ("wide", "codes"):
        assert run("decode", f"{name}.npy", f"{name}.wav").exit_code == 0
    assert Path("wide.wav").read_bytes() == Path("codes.wav").read_bytes()


def test_bare_codes_decode_with_a_warning(workplace: Path) -> None:
    np.save("bare.npy", np.arange(40) % 16)
    result = run("decode", "bare.npy", "out.wav", "--speaker", "s5")
    assert result.exit_code == 0, result.output
    assert result.stderr == (
        f"{CHOSEN}\n"
        "bare.npy: a bare array, without the model's fingerprint, length, loudness and speaker: taken as codes of"
        " runs/tiny, 320 samples per code, gain 1\n"
    )
    assert soundfile.info("out.wav").frames == 40 * 320


def test_decode_unpacks_an_npy_once(encoded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpacked = []

    def counted(content: bytes, *, where: str) -> Codes:
        unpacked.append(where)
        return unpack(content, where=where)

    monkeypatch.setattr("sqcodec.bitstream.npy.unpack", counted)
    assert run("decode", "codes.npy", "out.wav").exit_code == 0
    Path("folder").mkdir()
    Path("codes.npy").rename("folder/codes.npy")
    assert run("decode", "folder", "back").exit_code == 0
    # the first file of a folder is looked at once more: its model tells which device the progress line names
    assert [Path(where).name for where in unpacked] == ["codes.npy", "codes.npy", "codes.npy"]


def test_bare_codes_need_a_speaker(workplace: Path) -> None:
    np.save("bare.npy", np.zeros(40, np.uint16))
    assert refused("decode", "bare.npy", "out.wav") == (
        "Error: bare.npy: no speaker is stored; choose one with --speaker: p225, p226, s5\n"
    )


@pytest.mark.parametrize("model", ["tiny", "runs/tiny", "runs/tiny/model.safetensors"])
def test_model_by_name_folder_or_path(workplace: Path, model) -> None:
    make_model(Path("runs/other/model.safetensors"), seed=1)  # newer
    result = run("encode", "in.wav", "codes.npy", "--model", model, "--speaker", "s5")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.endswith(f"{MODEL}\n")
    assert run("decode", "codes.npy", "out.wav", "--model", model).exit_code == 0


def test_model_of_the_environment(workplace: Path, tiny_model: Path, monkeypatch) -> None:
    make_model(tiny_model, seed=5)
    monkeypatch.setenv("SQCODEC_MODEL", str(tiny_model))
    result = run("encode", "in.wav", "codes.npy", "--speaker", "s5")
    assert result.stdout.endswith(f", model {tiny_model.parent}, named by SQCODEC_MODEL\n")
    assert result.stderr == ""
    assert run("decode", "codes.npy", "out.wav").stdout.endswith(f", model {tiny_model.parent}\n")


def test_decode_finds_the_model_by_fingerprint_not_the_newest(encoded: Path) -> None:
    make_model(Path("runs/newer/model.safetensors"), seed=1)
    Path("runs/broken").mkdir()
    Path("runs/broken/model.safetensors").write_bytes(b"junk")
    os.utime("runs/tiny/model.safetensors", (0, 0))
    result = run("decode", "codes.npy", "out.wav")
    assert result.stdout == f"out.wav: 2.50 s at 16000 Hz, speaker p225, {MODEL}\n"


def test_decode_without_a_model_of_the_fingerprint_fails(encoded: Path, monkeypatch) -> None:
    fingerprint = read_codes(Path("codes.npy")).fingerprint
    make_model(Path("runs/tiny/model.safetensors"), seed=1)
    text = f"Error: no model of fingerprint {fingerprint}, which the codes were written with: searched SQCODEC_MODEL"
    rest = (
        ", under runs/ and what ships; name it with --model, or copy its run folder to runs/; a damaged header names a"
        " model that there is not: then copy or encode the file again\n"
    )
    assert refused("decode", "codes.npy", "out.wav") == f"{text} (not set){rest}"
    monkeypatch.setenv("SQCODEC_MODEL", "tiny")
    assert refused("decode", "codes.npy", "out.wav") == f"{text} (tiny){rest}"


def test_decode_refuses_another_model(encoded: Path) -> None:
    wrong = make_model(Path("runs/wrong/model.safetensors"), seed=1).fingerprint
    right = read_codes(Path("codes.npy")).fingerprint
    assert refused("decode", "codes.npy", "out.wav", "--model", "wrong") == (
        f"Error: runs/wrong/model.safetensors: fingerprint {wrong}, but the codes were written with {right};"
        " leave --model out to search for it, or name the model that wrote the codes\n"
    )


def test_encode_without_any_model_fails(workplace: Path) -> None:
    Path("runs").rename("elsewhere")
    assert refused("encode", "in.wav", "codes.npy") == (
        "Error: no model: none under runs, SQCODEC_MODEL is not set, and none ships with this version;"
        " 'sqcodec train RECIPE' makes one, or name one with --model\n"
    )
    assert refused("encode", "in.wav", "codes.npy", "--model", "x") == (
        "Error: model 'x': no such file, none at x/model.safetensors or runs/x/model.safetensors, and none ships with"
        " this version; give a model.safetensors or a run folder\n"
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("none.wav c.npy", "none.wav: missing: no such file; expected a recording (WAV, FLAC, Ogg, MP3...)"),
        ("in.wav none/c.npy", "none/c.npy: there is no folder none; make it first"),
        ("in.wav runs", "runs: a folder; expected the name of the file to write"),
        ("in.wav in.wav", "in.wav: input and output are the same file; write to another name"),
        ("in.wav c.txt", "c.txt: unknown suffix '.txt', expected one of: .sqc, .npy"),
        (
            "in.wav c.npy --speaker p227",
            "speaker 'p227': unknown to the model runs/tiny; did you mean p226 or p225? It knows 3: p225, p226, s5",
        ),
        (
            "in.wav c.sqc --dtype int32",
            "--dtype int32: is for .npy files, a .sqc has its own coding; leave it out",
        ),
        ("in.wav c.npy --coder tables", "--coder is for .sqc files: an .npy is not entropy-coded"),
        ("in.wav c.npy --device tpu", "device 'tpu': expected auto, cpu, cuda or cuda:N"),
    ],
)
def test_encode_refuses(workplace: Path, arguments, text) -> None:
    assert refused("encode", *arguments.split()) == f"Error: {text}\n"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (
            "none.npy o.wav",
            "none.npy: cannot be read (No such file or directory); expected a codes file of 'sqcodec encode'",
        ),
        ("runs o.wav", "runs: no codes files in it; expected files named .sqc, .npy"),
        ("codes.npy none/o.wav", "none/o.wav: there is no folder none; make it first"),
        ("codes.npy o.xyz", "o.xyz: unknown suffix '.xyz', expected one of: .wav, .flac, .ogg"),
        ("codes.npy o", "o: unknown suffix '', expected one of: .wav, .flac, .ogg"),
        ("codes.npy codes.npy", "codes.npy: input and output are the same file; write to another name"),
        (
            "codes.npy o.wav --speaker nobody",
            "speaker 'nobody': unknown to the model runs/tiny. It knows 3: p225, p226, s5",
        ),
        (
            "in.wav o.wav",
            "in.wav: got a WAV file, expected the codes of 'sqcodec encode' (.sqc or .npy)",
        ),
    ],
)
def test_decode_refuses(encoded: Path, arguments, text) -> None:
    assert refused("decode", *arguments.split()) == f"Error: {text}\n"


def test_codes_out_of_range_are_refused(workplace: Path) -> None:
    np.save("bare.npy", np.array([3, 16]))
    assert refused("decode", "bare.npy", "o.wav", "--speaker", "s5") == (
        "Error: bare.npy: got code 16, expected 0 to 15; these are another model's codes\n"
    )


def test_damaged_codes_are_refused(encoded: Path) -> None:
    content = Path("codes.npy").read_bytes()
    Path("cut.npy").write_bytes(content[:-3])
    assert refused("decode", "cut.npy", "o.wav").startswith("Error: cut.npy: ")
    Path("flipped.npy").write_bytes(content[:140] + bytes([content[140] ^ 1]) + content[141:])
    assert refused("decode", "flipped.npy", "o.wav") == (
        "Error: flipped.npy: the checksum does not match, the file was damaged: copy or encode it again\n"
    )


def test_a_recording_that_is_not_finite_is_refused(workplace: Path) -> None:
    soundfile.write("nan.wav", np.array([0.0, np.nan, 0.0]), 16000, subtype="FLOAT")
    assert refused("encode", "nan.wav", "c.npy") == (
        "Error: nan.wav: not finite: NaN or infinity within samples 0 to 3; repair or leave out the file\n"
    )


def test_errors_name_standard_input(workplace: Path) -> None:
    assert re.fullmatch(
        r"Error: standard input: broken: .*; expected a recording \(WAV, FLAC, Ogg, MP3...\)\n",
        refused("encode", "-", "c.npy", stdin=b"not a recording"),
    )
    assert refused("decode", "-", "o.wav", stdin=b"not codes") == (
        "Error: standard input: got a file that begins with 'not code',"
        " expected the codes of 'sqcodec encode' (.sqc or .npy)\n"
    )


def test_wrong_usage_exits_with_2(workplace: Path) -> None:
    assert "Missing argument 'CODES'" in refused("encode", "in.wav", exit_code=2)
    assert "Invalid value for '--rate'" in refused("decode", "c.npy", "o.wav", "--rate", "0", exit_code=2)


def test_output_follows_a_link_and_replaces_a_file(encoded: Path) -> None:
    Path("real.wav").write_bytes(b"old")
    Path("link.wav").symlink_to("real.wav")
    assert run("decode", "codes.npy", "link.wav").exit_code == 0
    assert Path("link.wav").is_symlink()
    assert soundfile.info("real.wav").frames == 40_000


def test_a_device_file_is_not_replaced(encoded: Path) -> None:
    result = run("decode", "codes.npy", "/dev/null")
    assert result.exit_code == 0, result.output
    assert Path("/dev/null").is_char_device()


def test_errors_name_an_output_that_cannot_be_written(encoded: Path, monkeypatch) -> None:
    def fail(self, target):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)
    assert refused("decode", "codes.npy", "o.wav") == "Error: o.wav: cannot be written: Permission denied\n"


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_help_has_an_example(command) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"Example: sqcodec {command} " in result.stdout


@pytest.mark.parametrize("kind", ["WAV", "AIFF", "AU", "CAF", "W64", "FLAC", "NIST"])
def test_a_header_is_no_sound(workplace: Path, kind) -> None:
    soundfile.write("in.any", speech_like(4000), 16000, format=kind, subtype="PCM_16")
    with Path("in.any").open("ab") as file:
        file.write(bytes(1 - Path("in.any").stat().st_size % 2))  # an odd number, which is none of s16le
    text = refused("encode", "in.any", "c.sqc", "--raw", "s16le", "--rate", "16000")
    assert text.startswith("Error: in.any: begins as a")
    assert text.endswith("file does, which is no raw samples; leave out --raw, the header says all\n")
    with Path("in.any").open("rb") as file:
        text = refused("encode", "-", "c.sqc", "--raw", "s16le", "--rate", "16000", stdin=file.read())
    assert text.startswith("Error: standard input: begins as a")


def test_names_that_are_no_utf_8_are_written(workplace: Path) -> None:
    folder = Path(os.fsdecode(b"d\xe9r"))
    folder.mkdir()
    soundfile.write("in.wav", speech_like(4000), 16000)
    (folder / "a.wav").write_bytes(Path("in.wav").read_bytes())
    assert run("encode", folder / "a.wav", folder / "a.sqc", "--speaker", "s5").exit_code == 0
    done = run("decode", folder / "a.sqc", folder / "b.wav")
    assert done.exit_code == 0, done.output
    assert (folder / "b.wav").stat().st_size == 8044


def test_sound_beyond_the_size_of_a_wav_is_rf64(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqcodec.pipeline.coding import sound_files

    soundfile.write("in.wav", speech_like(4000), 16000)
    assert run("encode", "in.wav", "c.sqc", "--speaker", "s5").exit_code == 0
    assert run("decode", "c.sqc", "usual.wav").exit_code == 0
    monkeypatch.setattr(sound_files, "_MOST_OF_WAV", 3999)
    assert run("decode", "c.sqc", "long.wav").exit_code == 0
    assert Path("usual.wav").read_bytes()[:4] == b"RIFF"
    assert Path("long.wav").read_bytes()[:4] == b"RF64"
    assert np.array_equal(soundfile.read("long.wav")[0], soundfile.read("usual.wav")[0])
    assert AudioSource(Path("long.wav")).input_samples == 4000
    with pytest.raises(SqcodecError, match="longer than a WAV file holds, 4 GiB; write a .flac"):
        sound_files.write_sound(Path("x.wav"), [np.zeros(4000, np.float32)], 16000, ("WAV", "PCM_16"))


def test_ogg_beyond_what_vorbis_has_is_refused(workplace: Path) -> None:
    """libsndfile would end the process."""
    assert run("encode", "in.wav", "codes.sqc", "--speaker", "s5").exit_code == 0
    text = refused("decode", "codes.sqc", "o.ogg", "--rate", "200001")
    assert text == "Error: an .ogg has 200000 Hz at most, got 200001; write a .flac, or at a lower --rate\n"
    assert [path.name for path in Path().iterdir() if "o.ogg" in path.name or path.suffix == ".draft"] == []
    assert run("decode", "codes.sqc", "o.ogg", "--rate", "200000").exit_code == 0


@pytest.mark.parametrize(
    "arguments",
    [("encode", "", "o.sqc"), ("encode", "in.wav", ""), ("score", "", ""), ("encode", "in.wav", "o.sqc", "--model", ""),
     ("decode", "codes.sqc", "o.wav", "--vocoder", "")],
)  # fmt: skip
def test_an_empty_path_is_no_folder(workplace: Path, arguments: tuple[str, ...]) -> None:
    """What a script passes where its variable is not set."""
    assert "an empty path" in refused(*arguments, exit_code=2)
