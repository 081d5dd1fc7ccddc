"""Random moments of signals, and crowds: nothing half is taken as whole, no draft stays after the next run."""

import random
import signal
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from benchmarks import kills

# of each signal; ten over the commands that take seconds: `python -m benchmarks kills` takes as many as one likes
MOMENTS = {"train": 1, "prior": 1, "context": 2, "compare": 1, "evaluate": 2, "score": 1, "submit": 2}
ALONE = ("prep", "train", "prior", "context", "compare", "evaluate", "submit")  # one process has the output alone

Usual = Callable[[kills.Scenario], kills.Usual]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kills") / "template"
    kills.prepare(folder)
    return folder


@pytest.fixture(scope="module")
def usual(template: Path) -> Usual:
    """What each command makes undisturbed, made once."""
    return cache(lambda scenario: kills.usual(scenario, template, template.parent))


@pytest.mark.slow
@pytest.mark.parametrize("scenario", kills.SCENARIOS, ids=lambda scenario: scenario.name)
def test_what_a_signal_leaves_is_whole(template: Path, usual: Usual, tmp_path: Path, scenario: kills.Scenario) -> None:
    rng = random.Random(scenario.name)
    for number in kills.SIGNALS:
        done = kills.kill(scenario, number, template, tmp_path, usual(scenario), MOMENTS.get(scenario.name, 2), rng)
        assert (done.half, done.drafts_after, done.differ) == (0, 0, 0), number
        if number != signal.SIGKILL:  # the others unwind, and remove what they began
            assert done.drafts == 0, number


@pytest.mark.slow
@pytest.mark.parametrize("scenario", kills.SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("processes", [2, 4])
def test_a_crowd_makes_one_whole_output(
    template: Path, usual: Usual, tmp_path: Path, scenario: kills.Scenario, processes: int
) -> None:
    statuses = kills.crowd(scenario, template, tmp_path, usual(scenario), processes)
    assert 0 in statuses
    if scenario.name not in ALONE:
        assert set(statuses) == {0}
