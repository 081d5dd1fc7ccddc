"""The specification of docs/runtime.md, its vectors and the runtime agree; a change of one needs one of all."""

import re
from pathlib import Path

import numpy as np
import pytest

from sqcodec.bitstream import sqc
from sqcodec.model.model_header import read_model
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.tensor_files import read_file
from sqcodec.vocoder.vocoder_header import KIND
from tests.conftest import golden_maker
from tests.runtime.test_spectra import decibels

pytestmark = pytest.mark.ships

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "tests" / "golden" / "vectors"
MODEL = SHIPPED / "speech16k" / "model.safetensors"
VOCODER = SHIPPED / "speech16k" / "vocoder" / "vocoder.safetensors"
MAKER = golden_maker("make-vectors")
TEXT = (ROOT / "docs" / "runtime.md").read_text("utf-8")
AGAIN = "; run tests/golden/make-vectors.py again, and change docs/runtime.md and docs/try/index.html"


@pytest.fixture(scope="module")
def codec() -> Codec:
    return open_codec(MODEL, "cpu")


@pytest.fixture(scope="module")
def stored() -> dict[str, np.ndarray]:
    return {path.stem: np.load(path, allow_pickle=False) for path in FOLDER.glob("*.npy")}


@pytest.fixture(scope="module")
def now(codec: Codec, stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return MAKER.vectors(codec, stored["input"])


def test_the_runtime_meets_its_vectors(now: dict[str, np.ndarray], stored: dict[str, np.ndarray], codec: Codec) -> None:
    assert {name: (array.dtype, array.shape) for name, array in now.items()} == {
        name: (array.dtype, array.shape) for name, array in stored.items()
    }
    error = {name: np.abs(now[name] - stored[name].astype(now[name].dtype)) for name in now}
    loud = stored["log-mel"] > stored["log-mel"].max(0) - 38 / codec.features.decibels_per_unit
    assert error["log-mel"].max() < 1e-4
    assert error["log-mel"][loud].max() < 1e-5
    assert error["latents"].max() < 1e-5 * np.abs(stored["latents"]).max(), AGAIN
    assert (now["codes"] != stored["codes"]).mean() < 1 / 50
    unlike = (now["codes"] != stored["codes"]).any()  # another processor chose another code: what follows differs
    assert unlike or error["features"].max() < 2e-5, AGAIN
    # e to the power of sums of 256 products: another order of adding (two threads) moves the loudest values by 2.9e-5
    # of themselves, 2.4e-5 of the greatest; that of another processor may move them twice as far
    assert unlike or error["spectrum"].max() < 6e-5 * np.abs(stored["spectrum"]).max(), AGAIN
    assert unlike or max(decibels(error[name]) for name in ("plain", "sound")) < -80, AGAIN


def test_the_file_holds_the_codes(codec: Codec, stored: dict[str, np.ndarray]) -> None:
    read = sqc.unpack((FOLDER / "codes.sqc").read_bytes(), codec.space, where="codes.sqc")
    assert np.array_equal(read.indices, stored["codes"])
    assert read.samples == len(stored["input"]) == len(stored["sound"])


def test_the_document_lists_the_vectors(stored: dict[str, np.ndarray]) -> None:
    listed = re.findall(r"^\| `([^`]+)\.(npy|sqc)`", TEXT.partition("## Vectors")[2], re.MULTILINE)
    assert {f"{name}.{suffix}" for name, suffix in listed} == {path.name for path in FOLDER.iterdir()}
    assert len(listed) == len(stored) + 1


def sizes() -> dict[str, int]:
    """The letters of the document, of what ships."""
    header = read_model(MODEL).header
    network, quantizer, features = header.recipe["network"], header.recipe["quantizer"], header.features
    return {
        "K": quantizer["stages"], "V": quantizer["codewords"], "D": quantizer["dim"],
        "C": network["dim"], "U": network["hidden"], "F": features.n_mels, "P": features.frames_per_code,
        "R": features.sample_rate, "H": features.hop_length, "W": features.win_length, "N": features.n_fft,
    }  # fmt: skip


def documented(first: str) -> dict[str, tuple[int, ...]]:
    """Tensors and their shapes by the table of the document whose heading is `first`; a block's end in its name."""
    table = TEXT.partition(f"| {first} | shape |\n|---|---|\n")[2].partition("\n\n")[0]
    shapes = {}
    for line in table.splitlines():
        names, shape = re.findall(r"`([^`]+)`", line.split("|")[1]), line.split("|")[2]
        each = [tuple(value_of(part) for part in one.split(",")) for one in shape.split(";") if one.strip()]
        if not each:
            continue
        names = [names[0].removesuffix(".weight") + name if name.startswith(".") else name for name in names]
        shapes |= dict(zip(names, each * (len(names) // len(each)), strict=True))
    return shapes


def value_of(term: str) -> int:
    """'4 H + 2' -> 642."""
    return sum(
        np.prod([sizes().get(word) or int(word) for word in part.split()], dtype=int) for part in term.split("+")
    )


def test_the_document_lists_letters_and_tensors_of_what_ships() -> None:
    rows = re.findall(r"^\| ([A-Z](?:, [A-Z])*) \|[^|]+\| ([\d, ]+) \|$", TEXT, re.MULTILINE)
    given = {letter: int(value) for letters, values in rows
             for letter, value in zip(letters.split(", "), values.split(", "), strict=True)}  # fmt: skip
    assert given == sizes()
    block = documented("tensor of a block")
    model, (tree, vocoder) = read_model(MODEL), read_file(VOCODER, KIND)
    network = model.header.recipe["network"]
    expected = documented("tensor of the model")
    for name in ("encoder", "decoder"):
        for number in range(network[f"{name}_layers"]):
            expected |= {f"{name}.blocks.layers.{number}.{part}": shape for part, shape in block.items()}
    ignored = {"quantizer.log_var"}  # of the training
    assert {n: w.shape for n, w in model.weights.items() if n not in ignored and "context" not in n} == expected
    expected = documented("tensor of the vocoder")
    for number in range(tree["vocoder"]["layers"]):
        expected |= {f"trunk.blocks.layers.{number}.{part}": shape for part, shape in block.items()}
    assert {name: array.shape for name, array in vocoder.items()} == expected


def test_the_document_names_what_there_is() -> None:
    page = (ROOT / "docs" / "try" / "index.html").read_text("utf-8")
    assert f"one file, {len(page.splitlines())} lines" in TEXT
    assert len(page.splitlines()) < 670  # a page that one can read
    assert "://" not in page  # it loads nothing from elsewhere
