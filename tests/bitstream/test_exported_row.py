import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sqcodec.bitstream.exported_row import ExportMeta, Row, codes_of, read_meta, tree_of
from sqcodec.codes import Codes
from sqcodec.errors import CodesError
from sqcodec.layouts import LAYOUTS, LayoutName


def meta_of(layout: LayoutName = "flat", offset: int = 10) -> ExportMeta:
    return ExportMeta(
        form="jsonl", layout=layout, offset=offset, codewords=(8, 8), sample_rate=16000, samples_per_frame=320,
        model="speech16k", fingerprint="0123456789abcdef", licence="mit", rows_per_shard=1000,
    )  # fmt: skip


CODES = Codes(
    indices=np.array([[1, 2, 3], [4, 0, 6]], np.uint16), samples=2000, sample_rate=44100, gain=0.5, speaker="p225",
    fingerprint="0123456789abcdef",
)  # fmt: skip
ROW = Row("a/b", "a", "hello", CODES)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_row_gives_the_codes_back(layout: LayoutName) -> None:
    tree = tree_of(ROW, meta_of(layout))
    assert tree["audio_codes"].dtype == np.int32
    assert {key: value for key, value in tree.items() if key != "audio_codes"} == {
        "name": "a/b", "speaker": "a", "text": "hello", "seconds": 2000 / 44100, "samples": 2000, "sample_rate": 44100,
        "gain": 0.5, "model_speaker": "p225", "frames": 3, "stages": None,
    }  # fmt: skip
    for ids in (tree["audio_codes"], tree["audio_codes"].tolist()):
        got = codes_of(tree | {"audio_codes": ids}, meta_of(layout), "x")
        assert np.array_equal(got.indices, CODES.indices)
        assert (got.samples, got.sample_rate, got.gain) == (2000, 44100, 0.5)
        assert (got.speaker, got.fingerprint) == ("p225", CODES.fingerprint)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_frames_that_use_fewer_codebooks_say_so(layout: LayoutName) -> None:
    for stages in (np.array([2, 1, 2], np.uint8), np.array([2, 2, 2], np.uint8)):
        _frames_say_so(layout, stages)


def _frames_say_so(layout: LayoutName, stages: np.ndarray) -> None:
    tree = tree_of(ROW._replace(codes=replace(CODES, stages=stages)), meta_of(layout))
    assert tree["stages"] == stages.tolist()
    got = codes_of(tree, meta_of(layout), "x")
    assert np.array_equal(got.indices, CODES.indices)  # in which the code that is left out is 0
    assert got.number == (CODES.number if stages.min() == 2 else int(stages.sum()))
    assert got.stages is None or np.array_equal(got.stages, stages)


def test_a_row_of_a_language_model_has_ids_alone() -> None:
    got = codes_of({"audio_codes": [11, 22, 12, 18]}, meta_of(), "x")
    assert got.indices.tolist() == [[1, 2], [4, 0]]
    assert (got.samples, got.sample_rate, got.gain, got.speaker, got.fingerprint) == (640, 16000, 1.0, None, None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"audio_codes": [12, 12, 28]}, "x: got ids 12 to 28, expected 10 to 25"),
        ({"audio_codes": [22]}, "x: id 0: got codebook 1 after -1, expected the next one, or 0"),
        ({"audio_codes": [[11], [22, 12]]}, "x: expected `audio_codes`, ids in the layout flat"),
        ({"audio_codes": [1.5]}, "x: expected `audio_codes`, ids in the layout flat"),
        ({"audio_codes": None}, "x: expected `audio_codes`, ids in the layout flat"),
        ({"audio_codes": []}, "x: got no ids, expected those of a frame or more"),
        ({"stages": [2, 1, 2]}, "x: `stages` are not those of the ids; export again"),
        ({"samples": -1}, "x: got samples -1, sample_rate 44100, gain 0.5; export again"),
        ({"sample_rate": "16k"}, "x: got samples 2000, sample_rate 16k, gain 0.5; export again"),
        ({"gain": float("nan")}, "x: got samples 2000, sample_rate 44100, gain nan; export again"),
        ({"gain": "loud"}, "x: got samples 2000, sample_rate 44100, gain loud; export again"),
        ({"model_speaker": 3}, "x: got the speaker 3, expected a name; export again"),
    ],
)
def test_a_damaged_row_is_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(CodesError) as error:
        codes_of(tree_of(ROW, meta_of()) | change, meta_of(), "x")
    assert str(error.value) == text


def test_meta_says_what_follows_from_it() -> None:
    tree = meta_of().as_json()
    assert (tree["frame_rate"], tree["bit_rate"], tree["pad"], tree["vocabulary"]) == (50.0, 300.0, None, 26)
    assert (meta_of("delay").as_json()["pad"], meta_of("delay").as_json()["vocabulary"]) == (18, 19)


def test_meta_returns_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "meta.json").write_text(json.dumps(meta_of().as_json() | {"complete": True}), "utf-8")
    assert read_meta(tmp_path) == meta_of()


@pytest.mark.parametrize(
    "change",
    [
        {"layout": "spiral"}, {"form": "csv"}, {"codewords": []}, {"codewords": 3}, {"codewords": [0]},
        {"offset": -1}, {"offset": "0"}, {"samples_per_frame": 0}, {"sqcodec_export": None}, {"fingerprint": 3},
    ],
)  # fmt: skip
def test_a_damaged_meta_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "meta.json").write_text(json.dumps(meta_of().as_json() | change), "utf-8")
    with pytest.raises(CodesError) as error:
        read_meta(tmp_path)
    assert str(error.value) == f"{tmp_path}/meta.json: not what 'sqcodec export' writes: export again"


def test_a_missing_or_newer_meta_is_named(tmp_path: Path) -> None:
    with pytest.raises(CodesError, match=r"meta.json: cannot be read \(No such file or directory\); it says what the"):
        read_meta(tmp_path)
    (tmp_path / "meta.json").write_text(json.dumps(meta_of().as_json() | {"sqcodec_export": 2}), "utf-8")
    with pytest.raises(CodesError, match=r"meta.json: export format 2, this sqcodec reads up to 1: install a newer"):
        read_meta(tmp_path)
