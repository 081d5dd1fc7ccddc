"""The page as a file: whole, self-contained, safe."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from sqcodec.report import page
from sqcodec.report.spectrogram_image import RANGE, levels, palette, picture
from sqcodec.report.table import Column, Figure

COLUMNS = [Column("pesq", "PESQ wb", "", "higher", 2), Column("mcd", "MCD", "dB", "lower", 1)]


def make_page(folder: Path, *, systems: int = 3, utterances: int = 2, seconds: float = 1.5) -> page.Page:
    """A page of tones: system n is the reference's tone n octaves up; system 1 has no MCD."""
    names = [f"system-{n}" for n in range(1, systems + 1)]
    time = np.arange(round(16000 * seconds)) / 16000
    made = []
    for number in range(utterances):
        sounds = []
        for place, name in enumerate(["reference", *names]):
            path = folder / name / f"{number}.flac"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, 0.5 / (place + 1) * np.sin(2 * np.pi * 220 * 2**place * time), 16000)
            sounds.append(page.Sound(name, path, {"pesq": 1.0 + place, "mcd": 5.0} if place else {}))
        made.append(page.Utterance(f"speaker/{number}", sounds))
    cells = [
        {
            "pesq": Figure(1.0 + n % 3, 0.9 + n % 3, 1.1 + n % 3, 9, 0),
            "mcd": Figure(None, None, None, 0, 9) if n == 1 else Figure(5.0, 4.0, 6.0, 9, 1),
        }
        for n in range(1, systems + 1)
    ]
    table = [page.SystemRow(name, cell) for name, cell in zip(names, cells, strict=True)]
    return page.Page(title="tones & <tests>", columns=COLUMNS, systems=table, utterances=made, notes=["a < b"])


class Tags(HTMLParser):
    """Every tag with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_is_loaded_from_elsewhere(tmp_path) -> None:
    text = page.render(make_page(tmp_path))
    tags = Tags()
    tags.feed(text)
    assert not [tag for tag, attributes in tags.found if attributes.keys() & {"src", "srcset", "data"}]
    assert all(attributes["href"].startswith("#") for _, attributes in tags.found if "href" in attributes)
    assert not re.findall(
        r"(?:https?:)?//[a-z]|@import|url\(|fetch\(|import\(", re.sub(r'"data">.*?</script>', "", text)
    )
    assert "default-src 'none'" in text


def test_authors_are_named_where_there_are_some(tmp_path) -> None:
    made = make_page(tmp_path)
    assert 'id="credits"' not in page.render(made)
    credited = replace(
        made, utterances=[made.utterances[0]._replace(credit="Anna & Co, CC BY 4.0"), made.utterances[1]]
    )
    text = page.render(credited)
    assert re.findall(r"<li>(speaker/.*?)</li>", text) == ["speaker/0: Anna &amp; Co, CC BY 4.0"]


def test_names_and_notes_are_text_and_not_markup(tmp_path) -> None:
    text = page.render(make_page(tmp_path))
    assert "tones &amp; &lt;tests&gt;" in text
    assert "<li>a &lt; b</li>" in text
    assert "<tests>" not in text
    assert not re.findall(
        r"\{[{%]", re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    )  # nothing of the template


def test_the_page_holds_the_very_sounds(tmp_path) -> None:
    made = make_page(tmp_path)
    text = page.render(made)
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.DOTALL)[1])
    for utterance, held in zip(made.utterances, data["utterances"], strict=True):
        assert (held["name"], held["seconds"]) == (utterance.name, 1.5)
        for sound, kept in zip(utterance.sounds, held["sounds"], strict=True):
            assert base64.b64decode(kept["flac"]) == sound.path.read_bytes()
            assert kept["scores"] == sound.scores


def test_figures_that_could_not_be_computed_are_shown(tmp_path) -> None:
    text = page.render(make_page(tmp_path))
    assert '<td class="none">–<span class="failed">9 failed</span></td>' in text
    assert (
        '<td data-value="5.0">5.0<span class="interval">4.0 … 6.0</span><span class="failed">1 failed</span></td>'
        in text
    )


def test_a_tone_is_bright_where_it_should_be() -> None:
    tone = np.sin(2 * np.pi * 2000 * np.arange(16000) / 16000).astype(np.float32)
    level = levels(tone)
    assert level.shape == (101, 256)
    top = level.max()
    image = Image.open(io.BytesIO(picture(level, top)))
    assert image.size == (101, 256)
    indices = np.asarray(image)
    assert image.mode == "P"
    assert int(indices[:, 50].argmax()) == 255 - 64  # 2 kHz of 8 is bin 64 of 256 from below
    assert indices.max() == len(palette()) - 1
    quiet = np.asarray(Image.open(io.BytesIO(picture(level - RANGE / 2, top))))
    assert quiet.max() == pytest.approx((len(palette()) - 1) / 2, abs=1)  # the scale is shared, not fitted
