"""What is missing is said before the imports that take a second; the folder stays as it was."""

from pathlib import Path

import pytest

from tests.cli.runner import refused

NO_FILE = "Error: none.wav: missing: no such file; expected a recording (WAV, FLAC, Ogg, MP3...)\n"


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("vocode", "none.wav", "y.wav"), NO_FILE),
        (("convert", "none.wav", "y.wav", "--speaker", "s5"), NO_FILE),
        (("perturb", "none.wav", "y.wav"), NO_FILE),
        (("morph", "in.wav", "none.wav", "y.wav"), NO_FILE),
        (
            ("evaluate", "tiny", "--data", "none", "--out", "o"),
            "Error: none: got no such folder, expected a folder of recordings\n",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_missing_is_one_line(workplace: Path, words: tuple[str, ...], error: str) -> None:
    assert refused(*words) == error
