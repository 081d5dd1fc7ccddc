"""The Python of docs/building.md runs."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs" / "building.md"


@pytest.fixture(autouse=True)
def nothing_ships() -> None:
    """What ships is used here: the fixture of the same name that hides it is overridden."""


def test_the_blocks_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    programs = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    known: dict[str, object] = {}
    for program in programs:
        exec(program, known)
    assert programs
