"""`sqcodec encode --stream` and `decode --stream`: live on pipes."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.runner import run
from tests.conftest import speech_like

pytestmark = pytest.mark.ships

SQCODEC = (sys.executable, "-m", "sqcodec.cli.main")
RAW = ("--stream", "--raw", "s16le")


@pytest.fixture
def pcm() -> bytes:
    return np.rint(speech_like(20_000) * 32767).astype("<i2").tobytes()


def test_files_of_samples_and_packets(tmp_path: Path, pcm: bytes, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.raw").write_bytes(pcm)
    result = run("encode", "in.raw", "packets", *RAW, "--rate", "16000", "--bitrate", "800")
    assert (result.exit_code, result.stderr) == (0, "")
    mode = "mode speech16k-2/800, model speech16k, which ships"
    assert result.stdout == f"packets: 32 packets of 4 bytes, 1.28 s, {mode}\n"
    packets = Path("packets").read_bytes()
    assert len(packets) == 4 * 32  # 20000 samples, 126 frames, 63 codes, 32 packets of 2
    result = run("decode", "packets", "out.raw", *RAW, "--bitrate", "800")
    assert result.exit_code == 0
    assert result.stdout == f"out.raw: 1.28 s of 32 packets, {mode}\n"
    assert abs(len(Path("out.raw").read_bytes()) // 2 - 20_000) <= 640
    named = ("--mode", "speech16k-2/800")  # the same in a word
    assert run("encode", "in.raw", "packets", *RAW, "--rate", "16000", *named).exit_code == 0
    assert Path("packets").read_bytes() == packets
    assert run("decode", "packets", "again.raw", *RAW, *named).exit_code == 0
    assert Path("again.raw").read_bytes() == Path("out.raw").read_bytes()
    cut = Path("cut")
    cut.write_bytes(packets[:-3])  # an incomplete packet at the end is left out
    result = run("decode", "cut", "short.raw", *RAW, "--bitrate", "800", "--rate", "8000")
    assert result.exit_code == 0
    assert (
        "left out at the end: 1 of a packet's 4 bytes; --bitrate, --dtx and --protect must be the sender's"
        in result.stderr
    )
    assert abs(len(Path("short.raw").read_bytes()) // 2 - 31 * 320) <= 320


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("encode", "-", "-", "--stream"), "--stream needs --raw s16le and --rate"),
        (("encode", "-", "-", *RAW[:1], "--raw", "f32le", "--rate", "16000"), "--stream needs --raw s16le and --rate"),
        (("decode", "-", "-", "--stream"), "--stream needs --raw s16le"),
        (("decode", "a", "b", "--bitrate", "800"), "--bitrate needs --stream"),
        (("encode", "a", "b", "--dtx"), "--mode, --dtx and --protect need --stream"),
        (("decode", "a", "b", "--protect", "2"), "--mode, --dtx and --protect need --stream"),
        (("encode", "a", "b", "--mode", "speech16k-2/800"), "--mode, --dtx and --protect need --stream"),
        (
            ("decode", "a", "b", *RAW, "--mode", "speech16k-2/800", "--bitrate", "800"),
            "--mode names the model and the rate; leave out --model and --bitrate",
        ),
        (
            ("encode", "-", "-", *RAW, "--rate", "16000", "--mode", "speech16k-2"),
            "mode 'speech16k-2': expected MODEL/RATE with a nominal rate in bit/s, such as speech16k-2/1600",
        ),
        (
            ("decode", "-", "-", *RAW, "--mode", "speech16k-2/1000"),
            "mode speech16k-2/1000: speech16k-2 has no rate of 1000 bit/s, expected one of 400, 800, 1200, 1600, 2000,",
        ),
        (("encode", "no-such", "out", *RAW, "--rate", "16000"), "no-such: cannot be opened: No such file or directory"),
    ],
)
def test_wrong_use_is_one_error(arguments, text, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code in (1, 2)
    assert text in result.stderr


@pytest.mark.parametrize("bitrate", ["400", "1600"])
def test_files_with_a_header_are_refused(bitrate, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    soundfile.write("in.wav", speech_like(8000), 16000)
    assert run("encode", "in.wav", "in.sqc").exit_code == 0
    for arguments, kind in (
        (("encode", "in.wav", "out", *RAW, "--rate", "16000"), "WAV"), (("decode", "in.sqc", "out", *RAW), ".sqc"),
    ):  # fmt: skip
        result = run(*arguments, "--bitrate", bitrate)
        assert result.exit_code == 1
        assert result.stderr.startswith(
            f"Error: the stream begins as a {kind} file does; expected raw samples or packets"
        )
        assert "leave out --stream for files" in result.stderr


@pytest.mark.slow
def test_silence_and_copies_on_pipes(tmp_path: Path, pcm: bytes, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.raw").write_bytes(pcm + bytes(2 * 16_000 * 3))
    extras = ("--dtx", "--protect", "1", "--bitrate", "800")
    assert run("encode", "in.raw", "packets", *RAW, "--rate", "16000", *extras).exit_code == 0
    assert Path("packets").read_bytes()[0] == 6  # the length, two stages and a copy
    assert Path("packets").stat().st_size < 7 * 60  # a byte for each of the silent ones
    done = run("decode", "packets", "out.raw", *RAW, *extras)
    assert done.exit_code == 0, done.output
    assert abs(len(Path("out.raw").read_bytes()) // 2 - 68_000) <= 640
    wrong = run("decode", "packets", "no.raw", *RAW, "--dtx", "--bitrate", "400")
    assert wrong.stderr.startswith("Error: a packet of 6 bytes, expected at most 2: --dtx, --bitrate and --protect")


def started(*arguments: str, **pipes) -> subprocess.Popen:
    return subprocess.Popen([*SQCODEC, *arguments], stdout=subprocess.PIPE, bufsize=0, **pipes)


ENCODE = ("encode", "-", "-", *RAW, "--rate", "16000", "--quiet")
EIGHT = 2 * 640 * 8  # bytes of eight packets


@pytest.mark.slow
def test_sound_comes_out_while_samples_go_in(pcm: bytes) -> None:
    with (
        started(*ENCODE, stdin=subprocess.PIPE) as encoder,
        started("decode", "-", "-", *RAW, stdin=encoder.stdout) as decoder,
    ):
        encoder.stdout.close()
        encoder.stdin.write(pcm[:EIGHT])  # one of them is still in the encoder, two and a half in the decoder
        sound = b""
        while len(sound) < 2 * 640 * 4:
            sound += decoder.stdout.read(65_536)  # would wait for ever if nothing came before the end
        encoder.stdin.write(pcm[EIGHT:])
        encoder.stdin.close()
        while more := decoder.stdout.read(65_536):
            sound += more
    assert (encoder.returncode, decoder.returncode) == (0, 0)
    assert abs(len(sound) - len(pcm)) <= 2 * 640


@pytest.mark.slow
def test_an_interrupt_codes_what_was_heard(pcm: bytes) -> None:
    with started(*ENCODE, stdin=subprocess.PIPE) as encoder:
        encoder.stdin.write(pcm[:EIGHT])
        packets = encoder.stdout.read(8)  # it listens
        while len(packets) < 8 * 7:  # the seventh needs all samples
            packets += encoder.stdout.read(65_536)
        encoder.send_signal(signal.SIGINT)
        while more := encoder.stdout.read(65_536):
            packets += more
    assert encoder.returncode == 0
    assert len(packets) == 8 * 9  # eight, and the frame after their end


@pytest.mark.slow
def test_a_closed_pipe_is_a_clean_end(pcm: bytes) -> None:
    with started(*ENCODE, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as encoder:
        encoder.stdin.write(pcm[:EIGHT])
        encoder.stdout.read(8)
        encoder.stdout.close()
        with contextlib.suppress(BrokenPipeError):
            encoder.stdin.write(pcm)
        encoder.stdin.close()
        assert encoder.stderr.read() == b""
    assert encoder.returncode == 0


def test_what_lies_at_the_target_stays_until_there_is_a_stream(tmp_path: Path, pcm: bytes, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.raw").write_bytes(pcm)
    Path("old").write_bytes(b"precious")
    soundfile.write("in.wav", speech_like(16000), 16000)
    np.save("x.npy", np.zeros((4, 9), np.uint16))
    rate = ("--rate", "16000")
    for arguments, text in (
        (("encode", "in.raw", "in.raw", *RAW, *rate), "in.raw: input and output are the same file"),
        (("encode", "in.wav", "old", *RAW, *rate), "the stream begins as a WAV file does"),
        *(
            (("decode", name, "old", *RAW, "--bitrate", rate), f"the stream begins as a {what} file does")
            for name, what in (("x.npy", "NumPy"), ("in.wav", "WAV"))
            for rate in ("400", "800", "1600")
        ),
        (("encode", "in.raw", "no/old", *RAW, *rate), "there is no folder no"),
        (("decode", "no-such", "old", *RAW), "no-such: cannot be opened"),
        (("decode", "in.raw", "old", *RAW, "--dtx", "--bitrate", "400"), "a packet of "),
    ):
        result = run(*arguments)
        assert result.exit_code == 1
        assert text in result.stderr
    assert (Path("in.raw").read_bytes(), Path("old").read_bytes()) == (pcm, b"precious")
    Path("nothing").write_bytes(b"")
    assert run("encode", "nothing", "old", *RAW, *rate).exit_code == 0
    assert Path("old").read_bytes() == b""  # an empty stream


def test_half_a_sample_and_half_a_framed_packet_are_noted(tmp_path: Path, pcm: bytes, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in.raw").write_bytes(pcm[:6401])
    done = run("encode", "in.raw", "packets", *RAW, "--rate", "16000", "--dtx")
    assert done.exit_code == 0
    assert "left out at the end: 1 of a sample's 2 bytes" in done.stderr
    Path("packets").write_bytes(Path("packets").read_bytes()[:-3])
    assert "left out at the end: 6 of a packet's 8 bytes" in run("decode", "packets", "o.raw", *RAW, "--dtx").stderr


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_options_that_a_stream_does_not_take_are_refused(command: str) -> None:
    rate = ("--rate", "16000") if command == "encode" else ()
    defaults = ("--device", "cpu", "--jobs", "1")
    result = run(command, "-", "-", *RAW, *rate, *defaults, "--json", "--speaker", "p1")
    assert result.exit_code == 2
    assert "--stream does not take --speaker and --json." in result.stderr


@pytest.mark.slow
def test_a_named_pipe_is_opened_at_once(tmp_path: Path, pcm: bytes) -> None:
    """A driver that opens both ends before it sends anything would wait for ever otherwise."""
    for name in ("in", "out"):
        os.mkfifo(tmp_path / name)
    with (
        started("encode", "in", "out", *RAW, "--rate", "16000", "--quiet", cwd=tmp_path) as encoder,
        (tmp_path / "in").open("wb") as samples,
        (tmp_path / "out").open("rb") as packets,
    ):
        samples.write(pcm)
        samples.close()
        assert len(packets.read()) == 8 * 32
    assert encoder.returncode == 0
