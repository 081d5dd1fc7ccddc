"""`sqcodec encode in.wav message.bin` and `decode message-*.bin out.wav`."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec.pipeline.coding import messages
from tests.cli.runner import refused, run
from tests.conftest import speech_like

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
    assert "--max-bytes 4: this recording takes" in refused("encode", "in.wav", "m.bin", "--max-bytes", "4")
    text = refused("encode", "in.wav", "m.bin", "--bitrate", "800", exit_code=2)
    assert "A message (.bin) does not take --bitrate." in text
    assert "several messages (.bin) become one sound" in refused("decode", "a.sqc", "b.sqc", "o.wav", exit_code=2)
    assert "A message (.bin) does not take --recover." in refused(
        "decode", "bad.bin", "o.wav", "--recover", exit_code=2
    )


def test_the_name_of_several_says_how_to_decode_them() -> None:
    Path("m-001.bin").write_bytes(b"a part")
    text = refused("decode", "m.bin", "out.wav")
    assert text == "Error: m.bin: is not there, but m-001.bin is: decode all of them, m-*.bin\n"


def test_names_of_a_thousand_parts_sort_as_their_numbers() -> None:
    for number, last in ((2, "m-002.bin"), (999, "m-999.bin"), (1000, "m-1000.bin"), (12_345, "m-12345.bin")):
        names = [path.name for path in messages._names(Path("m.bin"), number)]
        assert (len(names), names[-1], names) == (number, last, sorted(names))


def test_parts_of_another_encoding_are_not_joined() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    for name in ("m-002.bin", "m-003.bin", "m-005.bin", "o-001.bin"):
        Path(name).write_bytes(b"of before")
    text = refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    assert "m-003.bin m-005.bin: left of another encoding, and would be decoded with these 2" in text
    assert not Path("m-001.bin").exists()
    Path("m-0001.bin").write_bytes(b"of a thousand")
    assert "m-0001.bin m-003.bin m-005.bin: left of" in refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    Path("m-0001.bin").unlink()
    for name in ("m-002.bin", "m-003.bin", "m-005.bin"):
        Path(name).unlink()
    Path("m-002.bin").mkdir()
    assert "m-002.bin: a folder" in refused("encode", "in.wav", "m.bin", "--max-bytes", "200")
    assert run("encode", "short.wav", "o.bin").exit_code == 0  # decoded alone


def test_a_suffix_in_capitals_is_a_message() -> None:
    soundfile.write("short.wav", speech_like(20_000), 16000)
    assert run("encode", "short.wav", "M.BIN").exit_code == 0
    assert run("decode", "M.BIN", "out.wav").exit_code == 0
