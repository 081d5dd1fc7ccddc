"""`sqcodec export`: shards of rows that decode as the recordings do, kept where they are up to date."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile

from sqcodec import layouts
from sqcodec.bitstream.npy import read_codes
from sqcodec.bitstream.shard_file import SUFFIXES, read_row, read_rows
from sqcodec.errors import CodesError
from sqcodec.pipeline.coding.folder_record import NAME
from tests.cli.runner import refused, run
from tests.cli.test_codebooks import RESIDUAL
from tests.conftest import make_model, speech_like

ALL = ("export", "in", "out", "--model", "three", "--speaker", "s5", "--shard", "2")


@pytest.fixture
def corpus(workplace: Path) -> Path:
    make_model(Path("runs/three/model.safetensors"), RESIDUAL)
    for name in ("p1/a.wav", "p1/b.flac", "p2/c.wav", "p2/d.wav", "e.wav"):
        path = Path("in") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech_like(4000 + 100 * ord(path.stem)), 16000)
    Path("in/p1/a.txt").write_text("Hello there.\n", "utf-8")
    return workplace


def rows_of(folder: str) -> list[dict]:
    return [row for path in sorted(Path(folder).glob("codes-*")) for row in read_rows(path)]


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
@pytest.mark.parametrize("form", SUFFIXES)
def test_a_row_is_what_encode_gives(corpus: Path, form, layout) -> None:
    result = run(*ALL, "--to", form, "--layout", layout, "--offset", 5)
    assert (result.exit_code, result.stdout) == (0, "out: 5 new, 0 redone, 0 kept, 0 failed; 4.34 s\n"), result.output
    assert sorted(path.name for path in Path("out").iterdir()) == [
        NAME, *(f"codes-0000{number}{SUFFIXES[form]}" for number in range(3)), "meta.json",
    ]  # fmt: skip
    rows = rows_of("out")
    assert [row["name"] for row in rows] == ["e", "p1/a", "p1/b", "p2/c", "p2/d"]
    assert [row["speaker"] for row in rows] == [None, "p1", "p1", "p2", "p2"]
    assert [row["text"] for row in rows] == [None, "Hello there.", None, None, None]
    assert run("encode", "in/p1/a.wav", "a.npy", "--model", "three", "--speaker", "s5").exit_code == 0
    codes = read_codes(Path("a.npy"))
    meta = json.loads(Path("out/meta.json").read_text("utf-8"))
    back = layouts.LAYOUTS[layout].restore(np.array(rows[1]["audio_codes"]), meta["codewords"], offset=5)
    assert np.array_equal(back.codes, codes.indices)
    assert (rows[1]["samples"], rows[1]["gain"], rows[1]["frames"]) == (codes.samples, codes.gain, back.codes.shape[1])
    shard = f"out/codes-00000{SUFFIXES[form]}"
    for row in ("1", "p1/a"):
        assert run("decode", shard, "row.wav", "--row", row).exit_code == 0
        assert run("decode", "a.npy", "a.wav").exit_code == 0
        assert Path("row.wav").read_bytes() == Path("a.wav").read_bytes()


def test_meta_says_what_the_ids_are(corpus: Path) -> None:
    Path("runs/three/README.md").write_text("---\nlicense: cc-by-4.0\n---\n# Three\n", "utf-8")
    assert run(*ALL, "--codebooks", "2", "--layout", "delay", "--offset", "3").exit_code == 0
    meta = json.loads(Path("out/meta.json").read_text("utf-8"))
    assert run("encode", "in/e.wav", "e.npy", "--model", "three").exit_code == 0
    assert meta == {
        "sqcodec_export": 1, "form": "jsonl", "layout": "delay", "offset": 3, "codewords": [16, 16],
        "sample_rate": 16000, "samples_per_frame": 320, "model": "runs/three",
        "fingerprint": read_codes(Path("e.npy")).fingerprint, "licence": "cc-by-4.0", "rows_per_shard": 2,
        "frame_rate": 50.0, "bit_rate": 400.0, "pad": 19, "vocabulary": 20, "complete": True, "rows": 5,
    }  # fmt: skip


@pytest.mark.slow
def test_an_export_goes_on_where_it_was_stopped(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sqcodec.pipeline.coding import exporting

    write = exporting.write_shard

    def stop_at_the_second(path, rows, meta):
        if rows[0]["name"] == "p1/b":
            raise KeyboardInterrupt
        write(path, rows, meta)

    monkeypatch.setattr(exporting, "write_shard", stop_at_the_second)
    assert run(*ALL).exit_code == 1
    assert sorted(path.name for path in Path("out").iterdir()) == [NAME, "codes-00000.jsonl.gz", "meta.json"]
    assert json.loads(Path("out/meta.json").read_text("utf-8"))["complete"] is False
    monkeypatch.setattr(exporting, "write_shard", write)
    assert run(*ALL).stdout.startswith("out: 3 new, 0 redone, 2 kept, 0 failed; ")
    once = [path.read_bytes() for path in sorted(Path("out").glob("codes-*"))]
    assert run(*ALL).stdout.startswith("out: 0 new, 0 redone, 5 kept, 0 failed; ")
    assert run(*[word if word != "out" else "again" for word in ALL], "--jobs", "2").exit_code == 0
    assert [path.read_bytes() for path in sorted(Path("again").glob("codes-*"))] == once


def test_what_has_changed_is_exported_again(corpus: Path) -> None:
    assert run(*ALL).exit_code == 0
    Path("in/p1/b.txt").write_text("Another one.", "utf-8")
    assert run(*ALL).stdout.startswith("out: 0 new, 2 redone, 3 kept, 0 failed; ")
    assert [row["text"] for row in rows_of("out")] == [None, "Hello there.", "Another one.", None, None]
    os.utime("in/e.wav", (1, 1))
    assert run(*ALL).stdout.startswith("out: 0 new, 2 redone, 3 kept, 0 failed; ")
    Path("in/p2/c.wav").unlink()
    Path("in/p2/d.wav").unlink()
    assert run(*ALL).stdout.startswith("out: 0 new, 1 redone, 2 kept, 0 failed; ")
    assert [row["name"] for row in rows_of("out")] == ["e", "p1/a", "p1/b"]  # the third shard is gone


def test_failures_are_listed_and_not_tried_again(corpus: Path) -> None:
    Path("in/p1/a.wav").write_bytes(b"damaged")
    Path("in/p2/d.txt").write_bytes(b"\xff")
    text = "Error: 2 of 5 files failed:\n  in/p1/a.wav: "
    result = run(*ALL)
    assert result.exit_code == 1
    assert result.stdout.startswith("out: 3 new, 0 redone, 0 kept, 2 failed; ")
    assert text in result.stderr
    assert "in/p2/d.txt: not a transcript in UTF-8" in result.stderr
    assert [row["name"] for row in rows_of("out")] == ["e", "p1/b", "p2/c"]
    assert not Path("out/codes-00002.jsonl.gz").exists()  # its only recording failed
    again = run(*ALL)
    assert again.exit_code == 1
    assert again.stdout.startswith("out: 0 new, 0 redone, 3 kept, 2 failed; ")
    assert again.stderr[again.stderr.index("Error") :] == result.stderr[result.stderr.index("Error") :]


def test_another_export_in_the_folder_is_refused(corpus: Path) -> None:
    assert run(*ALL).exit_code == 0
    for changed, other in (
        (("--layout", "flat"), "layout stages, pad 16, vocabulary 17"),
        (("--to", "webdataset"), "form jsonl"),
        (("--codebooks", "1"), "codewords [16, 16, 16], bit_rate 600.0"),
    ):
        assert refused(*ALL, *changed) == (
            f"Error: out: holds another export ({other}); write to another folder, or remove it\n"
        )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("in -", "-: standard output; in is a folder, so expected the folder to write to"),
        ("in in/out", "in/out: lies within in; write to a folder beside it"),
        ("in in.wav", "in.wav: a file; in is a folder, so expected the folder to write to"),
        ("runs out", "runs: got no recordings, expected .wav, .flac, .ogg, ... in it or below it"),
    ],
)
def test_wrong_folders_are_refused(corpus: Path, arguments, text) -> None:
    assert refused("export", *arguments.split()) == f"Error: {text}\n"


def test_rows_that_are_not_there_are_refused(corpus: Path) -> None:
    assert run(*ALL).exit_code == 0
    shard = "out/codes-00000.jsonl.gz"
    for arguments, text in (
        ((shard, "x.wav"), f"{shard}: has several rows; choose one with --row, by its number from 0 or its name"),
        ((shard, "x.wav", "--row", "2"), f"{shard}: no row '2'; expected a number from 0, or the name of a recording"),
        (("in.wav", "x.wav", "--row", "2"), "in.wav: --row 2: expected a shard of 'sqcodec export' (.jsonl.gz,"
         " .parquet, .tar)"),
    ):  # fmt: skip
        assert refused("decode", *arguments) == f"Error: {text}\n"


def test_a_number_is_a_row_and_no_name(corpus: Path) -> None:
    for name in ("1.wav", "2.wav"):
        Path("numbered").mkdir(exist_ok=True)
        soundfile.write(f"numbered/{name}", speech_like(4000, seed=int(name[0])), 16000)
    assert run("export", "numbered", "rows", "--model", "three", "--speaker", "s5").exit_code == 0
    names = [read_row(Path("rows/codes-00000.jsonl.gz"), row)["name"] for row in ("0", "1")]
    assert names == ["1", "2"]
    with pytest.raises(CodesError, match="no row '2'; expected a number from 0, or the name of a recording"):
        read_row(Path("rows/codes-00000.jsonl.gz"), "2")
