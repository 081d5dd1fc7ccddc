import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sqcodec import layouts
from sqcodec.errors import CodesError
from sqcodec.layouts import LAYOUTS, Frames, LayoutName, delay, flatten, undelay, unflatten, unstack

DOCS = Path(__file__).parents[1] / "docs" / "building.md"
CODES = np.array([[1, 2, 3], [4, 0, 6]], np.uint16)


@st.composite
def coded(draw: st.DrawFn) -> tuple[Frames, list[int], int]:
    """Codes of any shape (no frames included), the sizes of their codebooks, and an offset."""
    books, frames = draw(st.integers(1, 9)), draw(st.integers(0, 20))
    codewords = draw(st.lists(st.integers(1, 65536), min_size=books, max_size=books))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    stages = random.integers(1, books + 1, frames).astype(np.uint8) if draw(st.booleans()) else None
    codes = random.integers(0, np.array(codewords)[:, None], (books, frames)).astype(np.uint16)
    if stages is not None:
        codes[np.arange(books)[:, None] >= stages] = 0
        stages = None if (stages == books).all() else stages
    return Frames(codes, stages), codewords, draw(st.integers(0, 200_000))


@pytest.mark.parametrize("name", LAYOUTS)
@settings(deadline=None, max_examples=50)
@given(case=coded())
def test_codes_of_any_shape_return(name: LayoutName, case: tuple[Frames, list[int], int]) -> None:
    (codes, stages), codewords, offset = case
    layout = LAYOUTS[name]
    ids = layout.arrange(codes, codewords, stages=stages, offset=offset)
    back = layout.restore(ids, codewords, offset=offset)
    assert (back.codes.dtype, back.codes.shape) == (np.uint16, codes.shape)
    assert np.array_equal(back.codes, codes)
    assert (back.stages is None) == (stages is None)
    assert stages is None or np.array_equal(back.stages, stages)  # type: ignore[arg-type]
    assert ids.size == 0 or (offset <= ids.min() and ids.max() < offset + layout.vocabulary(codewords))


@settings(deadline=None, max_examples=50)
@given(case=coded())
def test_flat_ids_say_which_codebook_they_are_of(case: tuple[Frames, list[int], int]) -> None:
    """No id stands for two codes of different codebooks, and there is no id without a code."""
    (codes, stages), codewords, offset = case
    ids = flatten(codes, codewords, stages=stages, offset=offset)
    assert len(ids) == (codes.size if stages is None else stages.sum())
    expected = [
        offset + sum(codewords[:book]) + int(codes[book, frame])
        for frame in range(codes.shape[1])
        for book in range(len(codes) if stages is None else stages[frame])
    ]
    assert ids.tolist() == expected


def test_the_ids_are_those_of_the_table() -> None:
    assert flatten(CODES, (8, 8), offset=10).tolist() == [11, 22, 12, 18, 13, 24]
    assert delay(CODES, (8, 8), offset=10).tolist() == [[11, 12, 13, 18], [18, 14, 10, 16]]
    fewer = np.array([2, 1, 2])
    assert LAYOUTS["stages"].arrange(CODES, (8, 8), stages=fewer).tolist() == [[1, 2, 3], [4, 8, 6]]
    assert flatten(CODES, (8, 8), stages=fewer).tolist() == [1, 12, 2, 3, 14]


def test_the_documentation_has_the_table_of_the_module() -> None:
    table = (layouts.__doc__ or "").split("\n\n")[2]
    assert table.lstrip().startswith("layout")
    assert table in DOCS.read_text("utf-8")


def test_layouts_need_numpy_alone() -> None:
    code = "import sys, sqcodec.layouts; print(sorted({'torch', 'scipy', 'soundfile', 'safetensors'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("codes", "stages", "offset", "text"),
    [
        (CODES[0], None, 0, "got uint16 codes of shape (3,), expected integers [2, T]: one row for each codebook"),
        (CODES.astype(float), None, 0, "got float64 codes of shape (2, 3), expected integers [2, T]: one row for"
         " each codebook"),
        (CODES + 2, None, 0, "codebook 1, frame 2: got code 8, expected 0 to 7"),
        (CODES, np.array([1, 0, 2]), 0, "got stages of shape (3,), expected [3] from 1 to 2"),
        (CODES, np.array([1, 2]), 0, "got stages of shape (2,), expected [3] from 1 to 2"),
        (CODES, None, -1, "got the offset -1, expected 0 or more"),
    ],
)  # fmt: skip
def test_wrong_codes_are_refused(
    codes: NDArray[np.uint16], stages: NDArray[np.int64] | None, offset: int, text: str
) -> None:
    for layout in LAYOUTS.values():
        with pytest.raises(CodesError) as error:
            layout.arrange(codes, (8, 8), stages=stages, offset=offset)
        assert str(error.value) == text


def test_ids_that_are_no_codes_are_refused() -> None:
    cases = [
        (lambda: unflatten(np.array([1, 2, 12]), (8, 8), offset=2), "got ids 1 to 12, expected 2 to 17"),
        (lambda: unflatten(np.array([9, 1]), (8, 8)), "id 0: got codebook 1 after -1, expected the next one, or 0"),
        (lambda: unflatten(np.array([1, 17, 9]), (8, 8, 8)), "id 1: got codebook 2 after 0, expected the next one,"
         " or 0"),
        (lambda: unflatten(CODES, (8, 8)), "got ids of shape (2, 3), expected [n]: frame by frame"),
        (lambda: unstack(CODES, (8, 8, 8)), "got ids of shape (2, 3), expected [3, T]: one row for each codebook"),
        (lambda: unstack(CODES + 3, (8, 8)), "codebook 1, frame 2: got code 9, expected 0 to 7"),
        (lambda: unstack(np.array([[1, 8], [2, 3]]), (8, 8)), "frame 1: a codebook without a code before one that has"
         " a code, or none at all"),
        (lambda: unstack(np.array([[1, 8], [2, 8]]), (8, 8)), "frame 1: a codebook without a code before one that has"
         " a code, or none at all"),
        (lambda: undelay(CODES, (8, 8)), "an id other than 8 before the first or after the last frame; expected"
         " delayed rows"),
        (lambda: undelay(CODES[:, :1], (8, 8, 8)), "got ids of shape (2, 1), expected [3, T + 2]"),
    ]  # fmt: skip
    for call, text in cases:
        with pytest.raises(CodesError) as error:
            call()
        assert str(error.value) == text
