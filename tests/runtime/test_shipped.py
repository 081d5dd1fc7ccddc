"""What ships, in NumPy against torch in float32: codes, features and sound of the speech that comes with sqcodec."""

from typing import NamedTuple

import numpy as np
import pytest
import soundfile
import torch

from sqcodec.codes import Codes
from sqcodec.model.model_file import load_model
from sqcodec.model.torch_engine import TorchEngine
from sqcodec.pipeline.coding.codec import Codec, open_codec
from sqcodec.pipeline.finding.models import SHIPPED
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.runtime.numpy_engine import NumpyEngine
from sqcodec.vocoder.istft import IstftVocoder
from sqcodec.vocoder.vocoder_file import load_vocoder
from sqcodec.vocoder.vocoder_header import Refining
from tests.conftest import golden_maker
from tests.runtime.test_spectra import decibels

pytestmark = pytest.mark.ships

RECORDINGS = golden_maker("make-release").recordings()
MODEL = SHIPPED / "speech16k" / "model.safetensors"
VOCODER = SHIPPED / "speech16k" / "vocoder" / "vocoder.safetensors"


class Pair(NamedTuple):
    """The shipped model in NumPy and in torch."""

    numpy: Codec
    torch: Codec


@pytest.fixture(scope="module")
def pair() -> Pair:
    codec = open_codec(MODEL, "cpu")
    assert isinstance(codec.engine, NumpyEngine)
    assert isinstance(codec.vocoder(None).vocoder, NumpyIstftVocoder)
    return Pair(codec, Codec(codec.header, codec.space, TorchEngine(load_model(MODEL)), "cpu"))


def encoded(codec: Codec, number: int) -> Codes:
    samples, rate = soundfile.read(RECORDINGS[number], dtype="float32")
    return codec.encode(samples, sample_rate=rate, codebooks=8)


@pytest.mark.slow
def test_codes_are_those_of_torch(pair: Pair) -> None:
    unlike = count = 0
    for number in range(len(RECORDINGS)):
        one, other = (encoded(codec, number).indices for codec in pair)
        unlike, count = unlike + int((one != other).sum()), count + one.size
    assert count > 10_000
    assert unlike <= 8  # none on AVX2 and AVX-512; of two codewords equally near, another processor may take the other


@pytest.mark.parametrize("number", [0, 5])
def test_sound_is_that_of_torch(pair: Pair, number: int) -> None:
    codes = encoded(pair.numpy, number)
    vocoder = load_vocoder(VOCODER, pair.numpy.features)
    assert isinstance(vocoder, IstftVocoder)
    features = [np.concatenate([*codec.engine.decode(codes.indices, 0)], axis=1) for codec in pair]
    assert np.abs(features[0] - features[1]).max() < 1e-5  # measured 5e-6
    with torch.inference_mode():
        expected = vocoder.network(torch.from_numpy(features[0])[None])[0].numpy()
    header = pair.numpy.vocoder(None).vocoder.header
    plain = NumpyIstftVocoder(header).synthesise(np.ascontiguousarray(features[0].T), Refining(0, 1.0, True))
    assert decibels(plain - expected) < -100  # measured -114 to -146 on the ten recordings
    samples = codes.samples_at(16000)
    refined, expected = (
        np.concatenate([*each.render([features[0]], samples, stages=8)])
        for each in (pair.numpy.vocoder(None).vocoder, vocoder)
    )
    assert decibels(refined - expected) < -95  # measured -109 to -145
