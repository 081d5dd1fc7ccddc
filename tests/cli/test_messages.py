"""`sqcodec encode in.wav message.bin` and `decode message-*.bin out.wav`."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.pipeline.coding import joined_messages, messages
from tests.cli.runner import refused, run
from tests.conftest import make_model, speech_like

pytestmark = pytest.mark.ships


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like(16_000 * 5), 16000)
    return tmp_path


def test_a_short_recording_is_one_message() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    done = run("encode", "short.wav", "message.bin", "--max-bytes", "100")
    assert done.exit_code == 0, done.output
    size = Path("message.bin").stat().st_size
    assert 90 <= size <= 100  # the search stops within a tenth of a small size
    assert done.stdout.startswith(f"message.bin: 1.25 s, {size} bytes: {8 * size / 1.25:.0f} bit/s, model")
    decoded = run("decode", "message.bin", "out.wav")
    assert decoded.stdout == "out.wav: 1.25 s at 16000 Hz, model speech16k\n"
    tree = json.loads(run("decode", "message.bin", "out.wav", "--json").stdout)
    assert (tree["seconds"], tree["sample_rate"]) == (soundfile.info("out.wav").frames / 16_000, 16_000)


def test_json_names_the_messages() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    tree = json.loads(run("encode", "short.wav", "message.bin", "--json", "--effort", "1", "--max-bytes", "40").stdout)
    assert tree["files"] == sorted(map(str, Path().glob("message*.bin")))
    assert len(tree["files"]) > 1


@pytest.mark.slow
def test_a_longer_one_is_split_and_each_is_decodable_alone() -> None:
    done = run("encode", "in.wav", "message.bin", "--max-bytes", "200")
    assert done.stdout.startswith("message-001.bin: 2 messages to message-002.bin, 5.00 s, ")
    files = sorted(Path().glob("message-*.bin"))
    assert [file.name for file in files] == ["message-001.bin", "message-002.bin"]
    assert all(170 <= file.stat().st_size <= 200 for file in files)
    lengths = []
    for file in files:
        assert run("decode", file, "one.wav").exit_code == 0
        lengths.append(soundfile.info("one.wav").frames)
    assert run("decode", *files, "out.wav").exit_code == 0
    assert soundfile.info("out.wav").frames == sum(lengths) + 80
    assert 0 <= soundfile.info("out.wav").frames - 16_000 * 5 < 320
    steps = np.abs(np.diff(soundfile.read("out.wav")[0]))
    assert steps[lengths[0] - 320 : lengths[0] + 320].max() < steps.max()  # no click at the seam


def test_silence_stays_silent() -> None:
    soundfile.write("silence.wav", np.zeros(8000), 8000)
    assert run("encode", "silence.wav", "m.bin").exit_code == 0
    assert run("decode", "m.bin", "out.wav").exit_code == 0
    assert not soundfile.read("out.wav")[0].any()


def test_wrong_use_is_one_error() -> None:
    Path("bad.bin").write_bytes(b"nothing")
    assert "bad.bin: no message, or one of another model" in refused("decode", "bad.bin", "out.wav")
    assert "no-such.bin: cannot be read" in refused("decode", "no-such.bin", "out.wav")
    text = refused("encode", "in.wav", "m.bin", "--max-bytes", "4")
    assert text == "Error: --max-bytes 4: expected 16 or more for a message\n"
    text = refused("encode", "in.wav", "m.bin", "--bitrate", "800", exit_code=2)
    assert "A message (.bin) does not take --bitrate." in text
    text = refused("encode", "in.wav", "m", "--max-bytes", "230", exit_code=2)
    assert "m: name it m.bin for messages of --max-bytes, or m.sqc for one file." in text
    assert run("encode", "in.wav", "-", "--max-bytes", "900").stdout_bytes.startswith(b"SQC")
    assert "several messages (.bin) become one sound" in refused("decode", "a.sqc", "b.sqc", "o.wav", exit_code=2)
    assert "A message (.bin) does not take --row." in refused("decode", "bad.bin", "o.wav", "--row", "1", exit_code=2)
    text = refused("decode", "bad.bin", "o.wav", "--recover")
    assert text.startswith("Error: nothing is intact: bad.bin: no message, or one of another model")


@pytest.fixture
def five(folder: Path) -> list[Path]:
    """Five messages of 1 s."""
    soundfile.write("five.wav", speech_like(16_000 * 5 - 100), 16000)  # 250 codes a codebook
    assert run("encode", "five.wav", "m.bin", "--max-bytes", "75").exit_code == 0
    files = sorted(Path().glob("m-*.bin"))
    assert len(files) == 5
    return files


@pytest.mark.slow
@pytest.mark.parametrize("missing", [True, False])
def test_what_is_lost_becomes_silence(five: list[Path], missing: bool) -> None:
    assert run("decode", *five, "whole.wav").exit_code == 0
    if missing:
        five.remove(Path("m-003.bin"))
        result = run("decode", *five, "short.wav")
        note = "missing before m-004.bin: 1 message; the sound goes on without, --recover puts silence there\n"
        assert (result.exit_code, result.stderr) == (0, note)
    else:
        Path("m-003.bin").write_bytes(Path("m-003.bin").read_bytes()[:-1] + b"\1")
        text = refused("decode", *five, "short.wav")
        assert text.endswith("damaged or cut; send it again; or --recover puts silence in its place\n")
    result = run("decode", *five, "out.wav", "--recover")
    assert result.exit_code == 1
    assert "missing before m-004.bin" in result.stderr or "m-003.bin: the checksum does not match" in result.stderr
    assert "Error: lost messages became silence, 2.00 to 3.00 s\n" in result.stderr
    whole, sound = soundfile.read("whole.wav")[0], soundfile.read("out.wav")[0]
    assert len(whole) == len(sound)
    assert not sound[32_000:48_000].any()
    far = 8000  # its neighbours hear other codes, and the phases of the sound forget them in a second
    assert np.array_equal(whole[:far], sound[:far])
    assert np.array_equal(whole[-far:], sound[-far:])


@pytest.mark.slow
def test_silence_before_the_first_that_is_there(five: list[Path]) -> None:
    five.pop(0)
    tree = json.loads(run("decode", *five, "out.wav", "--recover", "--json", "--quiet").stdout)
    assert tree["lost"] == [{"start": 0.0, "stop": 1.0}]
    assert tree["seconds"] == pytest.approx(5, abs=0.02)


def test_numbers_far_apart_are_of_several_recordings() -> None:
    names = ("m-001.bin", "m-003.bin", "m-2999.bin", "o-004.bin", "o-003.bin", "p-1.bin", "p-4.bin", "q.bin")
    assert joined_messages._missing([*map(Path, names)]) == [0, 1, 0, 0, 0, 0, 0, 0]
    assert joined_messages._missing([*map(Path, names[1:])]) == [2, 0, 0, 0, 0, 0, 0]
    assert joined_messages._missing([Path("m-003.bin")]) == [0]  # each can be decoded alone


def test_the_name_of_several_says_how_to_decode_them() -> None:
    Path("m-001.bin").write_bytes(b"a part")
    text = refused("decode", "m.bin", "out.wav")
    assert text == "Error: m.bin: is not there, but m-001.bin is: decode all of them, m-*.bin\n"


@pytest.mark.slow
def test_a_run_here_does_not_hide_the_model_that_wrote_them(folder: Path) -> None:
    assert run("encode", "in.wav", "m.bin").exit_code == 0
    make_model(folder / "runs" / "mine" / "model.safetensors")
    done = run("decode", *sorted(Path().glob("m*.bin")), "out.wav")
    assert (done.exit_code, done.stdout) == (0, "out.wav: 5.01 s at 16000 Hz, model speech16k\n")
    text = refused("decode", "m-001.bin", "o.wav", "--model", "mine")
    assert text == "Error: m-001.bin: messages need a model with a context model; name the one that wrote it\n"


def test_names_of_a_thousand_parts_sort_as_their_numbers() -> None:
    for number, last in ((2, "m-002.bin"), (999, "m-999.bin"), (1000, "m-1000.bin"), (12_345, "m-12345.bin")):
        names = [path.name for path in messages._names(Path("m.bin"), number)]
        assert (len(names), names[-1], names) == (number, last, sorted(names))


def test_parts_of_another_encoding_are_not_joined() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    for name in ("m-002.bin", "m-003.bin", "m-005.bin", "o-001.bin"):
        Path(name).write_bytes(b"of before")
    text = refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    assert "m-003.bin m-005.bin: left of another encoding, and would be taken for part of this one (2 files)" in text
    assert not Path("m-001.bin").exists()
    Path("m-0001.bin").write_bytes(b"of a thousand")
    assert "m-0001.bin m-003.bin m-005.bin: left of" in refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    Path("m-0001.bin").unlink()
    for name in ("m-002.bin", "m-003.bin", "m-005.bin"):
        Path(name).unlink()
    Path("m-002.bin").mkdir()
    assert "m-002.bin: a folder" in refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    text = refused("encode", "short.wav", "o.bin")
    assert "o-001.bin: left of another encoding, and would be taken for part of this one (1 file); remove" in text
    Path("o-001.bin").rename("o-2024.bin")
    assert run("encode", "short.wav", "o.bin").exit_code == 0  # no part of a set, which begins with 001
    Path("m-002.bin").rmdir()
    Path("m.bin").write_bytes(b"of before")
    assert "Error: m.bin: left of another encoding" in refused("encode", "in.wav", "m.bin", "--max-bytes", "200")


def test_a_suffix_in_capitals_is_a_message() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    assert run("encode", "short.wav", "M.BIN").exit_code == 0
    assert run("decode", "M.BIN", "out.wav").exit_code == 0


def test_messages_appear_all_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of this encoding beside the rest of another one would decode to both."""
    soundfile.write("short.wav", speech_like(20_000), 16000)
    assert run("encode", "short.wav", "m.bin", "--max-bytes", "40").exit_code == 0
    former = {path: path.read_bytes() for path in Path().glob("m-*.bin")}
    assert len(former) > 1
    soundfile.write("short.wav", 0.5 * speech_like(20_000)[::-1], 16000)
    written, number = Path.write_bytes, iter(range(9))

    def full(path: Path, content: bytes) -> int:
        if next(number) == 1:
            raise OSError(28, "No space left on device")
        return written(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full)
        assert "No space left on device" in refused("encode", "short.wav", "m.bin", "--max-bytes", "40")
    assert {path: path.read_bytes() for path in Path().glob("*.bin")} == former
