"""A slice of `python -m tests.fuzz`: damaged files are read right or refused, in little time and memory."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.fuzz.__main__ import main
from tests.fuzz.fuzzing import fuzz
from tests.fuzz.readers import known_codes, make_readers

INPUTS = 200  # of each of ten readers


@pytest.mark.slow
@pytest.mark.parametrize("name", list(make_readers(known_codes())))
def test_a_damaged_file_is_read_right_or_refused(name: str, tmp_path: Path) -> None:
    done = fuzz(name, make_readers(known_codes())[name], INPUTS, 7, tmp_path)
    assert done.findings == []
    assert done.counts.keys() <= {"read", "refused"}
    assert done.counts.total() == INPUTS
    assert done.counts["refused"] > INPUTS // 5
    # the changes are small enough that some files stay what they were; of version 2 and messages one in thousands does
    assert done.counts["read"] > 0 or name in ("sqc-2", "message")


def test_the_fuzzer_sees_what_it_looks_for(tmp_path: Path) -> None:
    """Where no codes are known, those of a harmless change are wrong ones."""
    done = fuzz("sqc", make_readers([])["sqc"], 300, 0, tmp_path)
    assert any("FINDING: unpack returned other codes" in finding for finding in done.findings)
    assert done.counts["FINDING"] == len(done.findings)


def test_the_command_counts() -> None:
    done = CliRunner().invoke(main, ["npy", "--inputs", "50"])
    lines = done.stdout.splitlines()
    assert lines[0].startswith("npy        50 inputs: ")
    assert (done.exit_code, lines[1]) == (0, "0 findings")
