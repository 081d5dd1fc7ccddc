"""A slice of bin/fuzz: damaged files of every kind are read right or refused, in little time and memory."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("reader", ["sqc", "npy", "wav", "model", "recipe"])
def test_a_damaged_file_is_read_right_or_refused(reader) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "bin" / "fuzz", reader, "--inputs", "400", "--seed", "7"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    counts = re.match(rf"{reader} +400 inputs: (\d+) read, (\d+) refused; ", done.stdout)
    assert counts, done.stdout
    assert int(counts[1]) > 0  # the changes are small enough that some files stay what they were
    assert int(counts[2]) > 100


def test_a_finding_is_told_and_fails(tmp_path: Path) -> None:
    """The fuzzer sees what it looks for: where no codes are known, those of a harmless change are wrong ones."""
    program = (ROOT / "bin" / "fuzz").read_text("utf-8")
    assert program.count("\nKNOWN = [") == 1
    program = program.replace("\nKNOWN = [", "\nKNOWN: list[np.ndarray] = []\nOTHERS = [")
    program = program.replace("Path(__file__).resolve().parents[1]", f"Path({str(ROOT)!r})")
    (tmp_path / "fuzz").write_text(program)
    done = subprocess.run(
        [sys.executable, tmp_path / "fuzz", "sqc", "--inputs", "300"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "FINDING: unpack returned other codes" in done.stdout
