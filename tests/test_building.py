"""The Python of docs/building.md runs."""

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.ships

DOCS = Path(__file__).parents[1] / "docs" / "building.md"


def test_the_blocks_run_one_after_the_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    programs = re.findall(r"^```python\n(.*?)^```", DOCS.read_text("utf-8"), re.M | re.S)
    known: dict[str, object] = {}
    for program in programs:
        exec(program, known)
    assert programs
