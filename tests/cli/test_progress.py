"""Long work speaks: at the beginning of a training, and now and then where there is no terminal, with time left."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from sqcodec.cli import progress
from sqcodec.cli.progress import Meter, duration, plain_lines
from sqcodec.pipeline.training.run_folder import begin, cpu_advice
from tests.cli.runner import run


def wait_for(lines: list[str], number: int) -> None:
    deadline = time.monotonic() + 20  # far more than the hundredths of a second that it takes
    while len(lines) < number and time.monotonic() < deadline:
        time.sleep(0.005)
    assert len(lines) >= number


def test_a_meter_gives_rate_and_time_left() -> None:
    meter = Meter(10, now=100.0)
    assert meter.line("files", 10, 130, now=100.0) == "files: 10 of 130"
    assert meter.line("files", 30, 130, now=140.0) == "files: 30 of 130, 0.5 per second, 3 min left"


def test_another_count_of_the_same_things_has_its_own_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now[0]))
    lines: list[str] = []
    with plain_lines(lines.append, first=0.01, every=0.01) as show:
        for begin, counts, total in ((0.0, range(0, 501, 100), 500), (1000.0, range(5), 20), (2000.0, range(1, 4), 20)):
            for count in counts:
                now[0] = begin + count
                show("utterances", count, total)
            expected = f"utterances: {count} of {total}, 1 per second"
            wait_for(lines, len(lines) + 2)
            assert lines[-1].startswith(expected)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59, "59 s"), (61, "1 min"), (5400, "1.5 h"), (365_000, "4.2 days")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_lines_come_while_one_piece_takes_long() -> None:
    lines: list[str] = []
    with plain_lines(lines.append, first=0.01, every=0.01) as show:
        show("files", 0, 7)
        wait_for(lines, 3)  # nothing was reported meanwhile
        show("steps", 2, 9)
        wait_for(lines, len(lines) + 2)
    assert lines[0] == "files: 0 of 7"
    assert lines[-1].startswith("steps: 2 of 9")
    count = len(lines)
    time.sleep(0.05)
    assert len(lines) == count  # and none after the work


def test_short_work_is_silent() -> None:
    lines: list[str] = []
    with plain_lines(lines.append) as show:
        show("files", 7, 7)
    assert lines == []


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int, int]]:
    """What commands show, in place of lines after 2 s."""
    shown: list[tuple[str, int, int]] = []

    class Shown:
        def __enter__(self):
            return lambda *report: shown.append(report)

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(progress, "plain_lines", lambda _echo, **_: Shown())
    return shown


def test_encode_and_decode_report_seconds(workplace: Path, impatient: list[tuple[str, int, int]]) -> None:
    assert run("encode", "in.wav", "out.sqc", "--speaker", "s5").exit_code == 0
    assert impatient[0] == ("seconds read on cpu", 0, 2)
    assert impatient[-1] == ("seconds read on cpu", 2, 2)
    assert run("decode", "out.sqc", "out.wav").exit_code == 0
    assert impatient[-1] == ("seconds decoded on cpu", 2, 2)


@pytest.mark.slow
def test_folders_report_files_from_the_beginning(workplace: Path, impatient: list[tuple[str, int, int]]) -> None:
    Path("in").mkdir()
    Path("in.wav").rename("in/a.wav")
    assert run("encode", "in", "out", "--speaker", "s5").exit_code == 0
    assert impatient == [("files on cpu", 0, 1), ("files on cpu", 1, 1)]
    impatient.clear()
    Path("out/b.sqc").write_bytes(Path("out/a.sqc").read_bytes())
    assert run("decode", "out", "back", "--jobs", "2").exit_code == 0
    assert impatient[0] == ("files on cpu in 2 processes", 0, 2)
    assert impatient[-1] == ("files on cpu in 2 processes", 2, 2)
    impatient.clear()
    assert run("export", "in", "tokens", "--speaker", "s5").exit_code == 0
    assert impatient == [("files on cpu", 0, 1), ("files on cpu", 1, 1)]


def test_the_papers_training_on_a_cpu_is_warned_of() -> None:
    plan = begin("vctk", stage="model")
    assert cpu_advice(plan, 500_000) == (
        "on a CPU 500000 steps of this network take days, about 0.7 s each on two cores; `overrides` train.steps=4000"
        " and `overrides` train.temperature_rate=0.0013 give a first model in an hour"
    )
    assert cpu_advice(plan, 4000) == ""
    assert cpu_advice(begin("tiny", stage="model"), 500_000) == ""
    assert cpu_advice(begin("istft", stage="vocoder"), 500_000) == ""
