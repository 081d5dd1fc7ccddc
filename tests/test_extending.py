"""The Python of docs/extending.md: excerpts are in the files that they name, the rest runs."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
BLOCKS = re.findall(r"^```python ?(\S*)\n(.*?)^```", (ROOT / "docs" / "extending.md").read_text("utf-8"), re.M | re.S)
EXCERPTS = [(path, text) for path, text in BLOCKS if path]


@pytest.mark.parametrize(("path", "text"), EXCERPTS)
def test_an_excerpt_is_in_its_file(path: str, text: str) -> None:
    assert text in (ROOT / path).read_text("utf-8")


def test_the_other_blocks_run_one_after_the_other() -> None:
    programs = [text for path, text in BLOCKS if not path]
    assert len(programs) >= 5
    known: dict[str, object] = {}
    for program in programs:
        exec(program, known)
