"""Models that shipped before: found where their file is, asked for where it is not, refused where it is damaged."""

import hashlib
import shutil
from pathlib import Path

import pytest

import sqcodec
from sqcodec.errors import ModelError
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding import models, shipped, vocoders
from sqcodec.pipeline.finding.code_spaces import names_of
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.pipeline.finding.older_models import OLDER
from tests.conftest import speech_like

pytestmark = pytest.mark.ships

FILE = "model.safetensors"
FIRST = SHIPPED / "speech16k-1" / FILE


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ships as the wheel has it: without the older model."""
    place = tmp_path / "models"
    (place / "speech16k").mkdir(parents=True)
    shutil.copy(SHIPPED / "speech16k" / FILE, place / "speech16k")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    monkeypatch.setattr(models, "SHIPPED", place)
    return place


def test_it_is_the_file_of_before() -> None:
    older = OLDER["speech16k-1"]
    assert hashlib.sha256(FIRST.read_bytes()).hexdigest() == older.checksum
    assert names_of(read_header(FIRST)) == older.identities
    assert models.resolve("speech16k-1") == FIRST
    assert models.versioned_name(FIRST) == "speech16k-1"
    assert [model.name for model in shipped.shipped_models()] == ["speech16k", "speech16k-1", "speech16k-live"]


def test_its_codes_become_sound_with_the_newest_vocoder() -> None:
    codec = sqcodec.load("speech16k-1")
    codes = codec.encode(speech_like(16000), sample_rate=16000, codebooks=2)
    assert models.find_for_decoding(codes.fingerprint, None).path == FIRST
    chosen = vocoders.choose_vocoder(None, codec.features, codec=codes.fingerprint, beside=FIRST)
    assert vocoders.vocoder_name(chosen.path) == "speech16k/vocoder"
    assert len(codec.decode(codes)) == 16000


def test_without_its_file_it_is_said_where_to_get_it(wheel: Path) -> None:
    place = wheel / "speech16k-1" / FILE
    for identity in OLDER["speech16k-1"].identities:
        with pytest.raises(ModelError, match=f"^codes of speech16k-1, fingerprint {identity}: speech16k-1 is not in"):
            models.find_for_decoding(identity, None)
    with pytest.raises(ModelError) as error:
        models.resolve("speech16k-1")
    assert str(error.value) == (
        "model 'speech16k-1': speech16k-1 is not in the wheel: take sqcodec/models/speech16k-1/model.safetensors"
        f" (SHA-256 {OLDER['speech16k-1'].checksum}) from the repository or the source distribution, and name its path"
        f" with `model`, or put it at {place}"
    )
    place.parent.mkdir()
    shutil.copy(FIRST, place)
    assert models.resolve("speech16k-1") == place
    assert models.find_for_decoding(OLDER["speech16k-1"].identities[0], None).path == place
    assert models.find_for_encoding(None).path == wheel / "speech16k" / FILE  # the newest


def test_a_file_that_is_damaged_is_refused(wheel: Path) -> None:
    place = wheel / "speech16k-1" / FILE
    place.parent.mkdir()
    content = bytearray(FIRST.read_bytes())
    content[-1] ^= 1
    place.write_bytes(content)
    for look in (lambda: models.resolve("speech16k-1"), lambda: models.find_for_decoding("afd19f03b449d079", None)):
        with pytest.raises(ModelError, match="not speech16k-1, or damaged: SHA-256 .*, expected 1b8486c1"):
            look()
