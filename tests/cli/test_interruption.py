"""Output files appear whole or not at all: killed, asked to end, on a full disk."""

import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import soundfile

from tests.cli.runner import MODEL, run
from tests.conftest import speech_like

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, "-m", "sqcodec.cli.main"]
OLD = b"what was there before"


@pytest.fixture
def long(workplace: Path) -> Path:
    """A working folder with long.wav and long.sqc of a minute, and old files where the output goes."""
    soundfile.write("long.wav", speech_like(16000 * 60), 16000)
    assert run("encode", "long.wav", "long.sqc", "--speaker", "s5").exit_code == 0
    for name in ("out.sqc", "out.wav"):
        Path(name).write_bytes(OLD)
    return workplace


def start(*arguments: str) -> subprocess.Popen:
    def attentive() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell's background jobs are started deaf to it

    return subprocess.Popen(
        [*PROGRAM, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, preexec_fn=attentive
    )


def drafts() -> list[Path]:
    return [path for path in Path().iterdir() if path.name.endswith(".draft")]


def wait_for_a_draft(process: subprocess.Popen) -> None:
    while not drafts() and process.poll() is None:
        time.sleep(0.002)


@pytest.mark.parametrize("wait", [0.0, 0.05, 0.2, 0.5])
def test_sigkill_keeps_the_old_file(long: Path, wait) -> None:
    process = start("decode", "long.sqc", "out.wav")
    wait_for_a_draft(process)
    time.sleep(wait)
    process.kill()
    if process.wait() == 0:  # it was faster than we
        assert soundfile.info("out.wav").frames == 16000 * 60
    else:
        assert Path("out.wav").read_bytes() == OLD
    assert run("decode", "long.sqc", "out.wav").exit_code == 0  # and nothing stands in the way of another try
    assert soundfile.info("out.wav").frames == 16000 * 60


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sigint_and_sigterm_remove_the_draft(long: Path, number) -> None:
    process = start("decode", "long.sqc", "out.wav")
    wait_for_a_draft(process)
    process.send_signal(number)
    status = process.wait()
    if Path("out.wav").read_bytes() == OLD:
        assert status == {signal.SIGTERM: 143, signal.SIGINT: -signal.SIGINT}[number]
    else:  # it was faster than we
        assert soundfile.info("out.wav").frames == 16000 * 60
    assert not drafts()


def test_the_next_run_removes_the_draft_of_a_killed_one(long: Path) -> None:
    process = start("decode", "long.sqc", "out.wav")
    wait_for_a_draft(process)
    process.kill()
    process.wait()
    assert len(drafts()) == 1
    os.utime(drafts()[0], (0, 0))  # what is younger than a minute stays
    foreign = Path(".notes.draft")
    foreign.write_text("not ours")
    living = Path(f".out.wav.{os.getpid()}.draft")
    living.write_text("of a process that is at work")
    assert run("decode", "long.sqc", "-", "-q").exit_code == 0
    done = subprocess.run([*PROGRAM, "decode", "long.sqc", "out.wav"], check=True, capture_output=True, text=True)
    assert done.stdout == f"out.wav: 60.00 s at 16000 Hz, speaker s5, {MODEL}\n"
    assert sorted(drafts()) == sorted([foreign, living])


@pytest.mark.parametrize(
    ("arguments", "limit"),
    [(["decode", "long.sqc", "out.wav"], 100_000), (["encode", "long.wav", "out.sqc", "--model", "runs/tiny"], 50)],
)
def test_a_full_disk_is_an_error_and_keeps_the_old_file(long: Path, arguments, limit) -> None:
    def full() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writes then fail as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([*PROGRAM, *arguments], preexec_fn=full, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith(f"Error: {arguments[2]}: cannot be written: ")
    assert Path(arguments[2]).read_bytes() == OLD
    assert not drafts()


def test_ctrl_c_ends_the_loop_of_a_shell(long: Path) -> None:
    """A shell goes on with its loop after a program that ends by itself."""
    decode = shlex.join([*PROGRAM, "decode", "long.sqc", "out.wav"])
    loop = f"for each in 1 2 3; do echo $each >> began; {decode}; done"
    process = subprocess.Popen(["bash", "-c", loop], stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for_a_draft(process)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate()
    assert Path("began").read_text() == "1\n"
    assert (process.returncode, said.strip()) == (-signal.SIGINT, "Aborted!")
    assert not drafts()
