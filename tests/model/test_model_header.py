"""A model file's header: the figures that follow from it, and nothing heavy to read it."""

import subprocess
import sys
from pathlib import Path

import pytest

from sqcodec.model.model_header import FORMAT, ModelHeader, header_of, read_header
from sqcodec.pipeline.finding.models import SHIPPED
from tests.conftest import SPEAKERS, make_model

CONVNEXT = {"kind": "convnext", "dim": 8, "encoder_lookahead": 3, "decoder_lookahead": 4}


def header(quantizer: dict[str, object], network: dict[str, object], **recipe: object) -> ModelHeader:
    tree = {"name": "x", "features": {"kind": "log-mel"}, "quantizer": quantizer, "network": network, **recipe}
    return header_of(Path("x"), {"format": 3, "step": 5, "fingerprint": "f", "speakers": [], "recipe": tree})


def test_bit_rates_are_those_of_the_first_codebooks() -> None:
    residual = header({"kind": "residual", "codewords": 200, "stages": 3}, CONVNEXT)
    assert residual.codewords == (200, 200, 200)
    assert residual.bit_rates == (400, 800, 1200)
    assert residual.default_bit_rate == 1200
    assert header({"kind": "residual", "codewords": 200, "stages": 3}, CONVNEXT, bit_rate=800).default_bit_rate == 800
    assert header({"kind": "gaussian", "codewords": 512}, {}).bit_rates == (450,)
    vae = header({"kind": "none", "dim": 64}, {})
    assert (vae.codewords, vae.bit_rates, vae.default_bit_rate) == ((), (), 0)


def test_lookahead_counts_the_codes_of_both_parts_and_the_one_that_is_coded() -> None:
    assert header({"kind": "gaussian", "codewords": 512}, CONVNEXT).lookahead == 20 * (1 + 3 + 4)
    assert header({"kind": "gaussian", "codewords": 512}, {"kind": "paper", "gru": 8}).lookahead is None
    assert header({"kind": "gaussian", "codewords": 512}, {"gru": 8}).lookahead is None  # format 2


def test_the_header_of_a_file(tmp_path: Path) -> None:
    make_model(tmp_path / "model.safetensors")
    found = read_header(tmp_path / "model.safetensors")
    assert (found.path, found.format, found.speakers) == (tmp_path / "model.safetensors", FORMAT, SPEAKERS)
    assert (found.features.kind, found.tables, found.classes) == ("paper-mel", None, None)
    assert found.recipe["features"]["kind"] == found.features.kind


@pytest.mark.parametrize("module", ["sqcodec.model.model_header", "sqcodec.storage"])
def test_a_header_is_read_without_torch(module: str) -> None:
    code = (
        f"import sys, {module}\nfrom pathlib import Path\nfrom sqcodec.model.model_header import read_header\n"
        "print(read_header(Path(sys.argv[1])).default_bit_rate, [name for name in ('torch', 'pydantic') if name in"
        " sys.modules])"
    )
    model = SHIPPED / "speech16k" / "model.safetensors"
    done = subprocess.run([sys.executable, "-c", code, model], capture_output=True, text=True, check=True)
    assert done.stdout == "1600.0 []\n"
