"""Random moments of signals, and crowds: nothing half is taken as whole, no draft stays after the next run."""

import random
import signal
from pathlib import Path

import pytest

from benchmarks import kills

LONG = ("train", "compare", "evaluate", "score", "submit")  # seconds each: `python -m benchmarks kills` alone has them
SHORT = [scenario for scenario in kills.SCENARIOS if scenario.name not in LONG]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills") / "template"
    kills.prepare(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: scenario.name)
def test_what_a_signal_leaves_is_whole(template: Path, tmp_path: Path, scenario: kills.Scenario) -> None:
    """A few moments of each command; `python -m benchmarks kills` takes as many as one likes."""
    rng = random.Random(scenario.name)
    for number in kills.SIGNALS:
        done = kills.kill(scenario, number, template, tmp_path, 2, rng)
        assert (done.half, done.drafts_after, done.differ) == (0, 0, 0), number
        if number != signal.SIGKILL:  # the others unwind, and remove what they began
            assert done.drafts == 0, number


@pytest.mark.slow
@pytest.mark.parametrize("scenario", SHORT, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("processes", [2, 4])
def test_a_crowd_makes_one_whole_output(template: Path, tmp_path: Path, scenario, processes: int) -> None:
    statuses = kills.crowd(scenario, template, tmp_path, processes)
    assert 0 in statuses
    if scenario.name != "prep":  # one process has such a folder alone
        assert set(statuses) == {0}
