"""Item files and task lists."""

import pytest

from sqcodec.corpus.abx_task import Item, read_task
from sqcodec.corpus.leaderboard import entries, place
from sqcodec.errors import CorpusError

HEAD = "#file onset offset #phone prev-phone next-phone speaker\n"
ITEMS = ["f1 0.0 0.1 a k t s1", "f1 0.2 0.3 e k t s1", "f2 0.5 0.75 a k t s2", "f2 0.1 0.2 a k p s2"]


def test_an_item_file_makes_every_triple(tmp_path) -> None:
    path = tmp_path / "x.item"
    path.write_text(HEAD + "\n".join(ITEMS) + "\n\n")
    task = read_task(path)
    assert task.items[2] == Item("f2", 0.5, 0.75)
    (cells,) = task.contexts  # `k p` has one phone only
    (cell,) = cells
    assert (cell.context, cell.phones, cell.speakers) == ("k t", ("a", "e"), ("s1", "s2"))
    assert (cell.a.tolist(), cell.b.tolist(), cell.x.tolist()) == ([0], [1], [2])


def test_triples_are_a_product(tmp_path) -> None:
    path = tmp_path / "x.item"
    lines = ["f 0 1 a k t s1"] * 2 + ["f 0 1 e k t s1"] * 3 + ["f 0 1 a k t s2"] * 4
    path.write_text(HEAD + "\n".join(lines))
    ((cell,),) = read_task(path).contexts
    assert len(set(zip(cell.a.tolist(), cell.b.tolist(), cell.x.tolist(), strict=True))) == 24


def test_a_task_list_is_taken_as_it_is(tmp_path) -> None:
    path = tmp_path / "x.tsv"
    rows = [
        "a b x phone_1 phone_2 speaker_1 speaker_2 context",
        "f1 f2 f3 a e s1 s2 k",
        "f1 f4 f3 a e s1 s2 k",
        "f5 f1 f3 e a s1 s2 m",
    ]
    path.write_text("\n".join(row.replace(" ", "\t") for row in rows) + "\n")
    task = read_task(path)
    assert [part.file for part in task.items] == ["f1", "f2", "f3", "f4", "f5"]
    assert task.items[0] == Item("f1", None, None)
    assert [[cell.b.tolist() for cell in cells] for cells in task.contexts] == [[[1, 3]], [[0]]]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "got the heading 'nothing', expected '#file onset offset #phone prev-phone next-phone speaker' (items) or"
         " 'a b x phone_1 phone_2 speaker_1 speaker_2 context' (triples)"),
        (HEAD, "nothing to compare: no context has two phones by one speaker of which another says one"),
        (HEAD + ITEMS[0], "nothing to compare: no context has two phones by one speaker of which another says one"),
    ],
)  # fmt: skip
def test_a_file_that_is_not_a_task_is_refused(tmp_path, text, error) -> None:
    path = tmp_path / "x.item"
    path.write_text(text)
    with pytest.raises(CorpusError) as raised:
        read_task(path)
    assert str(raised.value) == f"{path}: {error}"


@pytest.mark.parametrize(
    "line", ["f1 0.0 0.1 a k t", "f1 0.2 0.1 a k t s1", "f1 x 0.1 a k t s1", "f1 -1 0.1 a k t s1", "f nan 1 a k t s"]
)
def test_a_line_that_does_not_fit_is_named(tmp_path, line) -> None:
    path = tmp_path / "x.item"
    path.write_text(HEAD + ITEMS[0] + "\n" + line + "\n")
    with pytest.raises(CorpusError) as raised:
        read_task(path)
    assert str(raised.value) == f"{path}, line 3: got {line!r}, expected 7 columns with 0 <= onset < offset in seconds"


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(
        CorpusError, match=r"x.item: cannot be read \(.*No such file.*\); expected an item file or a task list$"
    ):
        read_task(tmp_path / "x.item")


def test_a_result_is_ranked_among_the_entries() -> None:
    published = entries()
    assert [entry.abx for entry in published] == sorted(entry.abx for entry in published)
    assert len(published) == 12
    assert [entry.system for entry in place("mine", abx=14.0, bit_rate=None)].index("mine") == 2
    assert [entry.system for entry in place("mine", abx=None, bit_rate=50.0)].index("mine") == 2
