"""docs/listen/index.html, the page to listen to: small, whole, and every author named."""

import base64
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
import soundfile

from tests.report.test_page import Tags

LISTEN = Path(__file__).resolve().parents[2] / "docs" / "listen"
MAX_BYTES = 5_000_000
MAX_UTTERANCES = 6
RATES = (400, 800, 1600, 3200)  # bit/s of the model
BASELINES = ["codec2-700C", "codec2-1600", "codec2-3200", "opus-6"]


@pytest.fixture(scope="module")
def text() -> str:
    return (LISTEN / "index.html").read_text("utf-8")


@pytest.fixture(scope="module")
def data(text: str) -> dict[str, Any]:
    found = re.search(r'id="data">(.*?)</script>', text, re.DOTALL)
    assert found
    return json.loads(found[1])


def test_it_is_small(data) -> None:
    assert (LISTEN / "index.html").stat().st_size <= MAX_BYTES
    assert 1 <= len(data["utterances"]) <= MAX_UTTERANCES


def test_it_has_the_recordings_of_the_list_with_their_authors(text, data) -> None:
    with (LISTEN / "recordings.tsv").open(encoding="utf-8", newline="") as file:
        named = {
            Path(line["path"]).with_suffix("").as_posix(): line["credit"]
            for line in csv.DictReader(file, delimiter="\t")
        }
    assert {utterance["name"]: utterance["credit"] for utterance in data["utterances"]} == named
    for name, credit in named.items():
        assert {"librispeech": "LibriSpeech", "vctk": "VCTK"}[name.split("/")[0]] in credit
        assert "CC BY 4.0" in credit
        assert f"<li>{name}: {credit}</li>" in text  # also without scripts


def test_every_row_of_the_table_has_its_sound_in_every_recording(text, data) -> None:
    rows = re.findall(r'<tr><th scope="row">(.*?)</th>', text)
    assert rows == [*(f"speech16k-{rate}" for rate in RATES), *BASELINES]
    for utterance in data["utterances"]:
        assert [sound["system"] for sound in utterance["sounds"]] == ["reference", *rows]
        for sound in utterance["sounds"]:
            samples, rate = soundfile.read(io.BytesIO(base64.b64decode(sound["flac"])))
            assert rate == 16000
            assert abs(len(samples) / rate - utterance["seconds"]) < 0.05  # a baseline's last frame may be missing
            assert abs(samples).max() > 0.01
            assert base64.b64decode(sound["png"]).startswith(b"\x89PNG")


def test_rates_are_those_that_it_says(data) -> None:
    for utterance in data["utterances"]:
        for sound in utterance["sounds"][1 : len(RATES)]:  # at 3200 all codebooks may take less: that is the most
            asked = int(sound["system"].rpartition("-")[2])
            assert sound["scores"]["bit_rate"] == pytest.approx(asked, rel=0.05)  # a price in 1 %, and whole bytes


def test_it_loads_nothing_from_elsewhere_and_names_no_folder_of_the_author(text) -> None:
    tags = Tags()
    tags.feed(text)
    assert not [tag for tag, attributes in tags.found if attributes.keys() & {"src", "srcset", "data"}]
    assert all(attributes["href"].startswith("#") for _, attributes in tags.found if "href" in attributes)
    outside = re.sub(r'id="data">.*?</script>', "", text, flags=re.DOTALL)
    assert not re.findall(r"https?://|@import|url\(|fetch\(|import\(", outside)
    assert "default-src 'none'" in text
    assert not re.findall(r"[\s(]/\w+/\w+", re.sub(r"<(script|style).*?</\1>", "", text, flags=re.DOTALL))
