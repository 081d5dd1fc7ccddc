"""Each adapter is an instance of the base class of its project, and codes as `Codec` does."""

import importlib
import inspect
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

import sqcodec
from tests.adapters.protocols import MODULES, provide
from tests.conftest import make_model, speech_like

pytestmark = pytest.mark.ships

BASES = {
    "codec_superb": "SoundCodec.base_codec.general",
    "audiocodecs": "audiocodecs.codec",
    "dasb": "model.tokenizer_interface",
    "audiocraft": "audiocraft.models.encodec",
}
LENGTHS = torch.tensor([1.0, 0.5])


@pytest.fixture(scope="module")
def codec() -> sqcodec.Codec:
    return sqcodec.load("speech16k", device="cpu")


@pytest.fixture
def signals() -> torch.Tensor:
    """[2, 16000]: 1 s, and half a second with zeros behind it."""
    sound = torch.from_numpy(np.stack([speech_like(16_000), speech_like(16_000, seed=1)]))
    sound[1, 8000:] = 0
    return sound


@pytest.fixture
def adapter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    name = request.param
    provide(monkeypatch, BASES[name])
    monkeypatch.delenv("SQCODEC_MODEL", raising=False)
    monkeypatch.delitem(sys.modules, f"sqcodec.adapters.{name}", raising=False)
    return importlib.import_module(f"sqcodec.adapters.{name}")


def taking(name: str):
    return pytest.mark.parametrize("adapter", [name], indirect=True, ids=[""])


@pytest.mark.parametrize("adapter", BASES, indirect=True)
def test_every_method_of_the_interface_has_its_arguments(adapter: ModuleType) -> None:
    """By name and in order, so that positional calls and calls by keyword both reach them; more may follow."""
    base_name = BASES[adapter.__name__.rpartition(".")[2]]
    base = next(cls for name, cls in MODULES[base_name].items() if name not in ("ExtractedUnit", "BatchExtractedUnit"))
    own = next(cls for _, cls in inspect.getmembers(adapter, inspect.isclass) if cls.__module__ == adapter.__name__)
    assert not inspect.isabstract(own)
    for name in base.__abstractmethods__:
        expected = inspect.getattr_static(base, name)
        if isinstance(expected, property):
            assert not isinstance(inspect.getattr_static(own, name), property)
            continue
        wanted = [p.name for p in inspect.signature(expected).parameters.values() if p.kind is not p.VAR_KEYWORD]
        assert [*inspect.signature(getattr(own, name)).parameters][: len(wanted)] == wanted, name


@taking("codec_superb")
def test_codec_superb(adapter: ModuleType, codec: sqcodec.Codec, signals: torch.Tensor) -> None:
    superb = adapter.Codec()
    assert (superb.setting, superb.sampling_rate) == ("sqvae_codec", 16000)
    data = [{"id": str(n), "audio": {"array": signal.double().numpy(), "sampling_rate": 16000}}
            for n, signal in enumerate(signals)]  # fmt: skip
    wanted = [codec.encode(each["audio"]["array"], 16000) for each in data]
    extracted = superb.extract_unit(data[0])
    assert extracted.unit.dtype == torch.int64
    assert np.array_equal(extracted.unit.numpy(), wanted[0].indices)
    assert np.array_equal(superb.decode_unit(extracted.stuff_for_synth), codec.decode(wanted[0]))
    batch = superb.batch_synth(data, local_save=False)
    for each, codes in zip(batch, wanted, strict=True):
        assert np.array_equal(each["unit"].numpy(), codes.indices)
        assert np.array_equal(each["audio"]["array"], codec.decode(codes))


@taking("audiocodecs")
def test_audiocodecs(adapter: ModuleType, codec: sqcodec.Codec, signals: torch.Tensor) -> None:
    module = adapter.SqvaeCodec(16000, num_codebooks=4)
    words = module.embs()
    assert words.shape == (4, 256, 64)
    toks = module.sig_to_toks(signals, LENGTHS)
    assert (toks.shape, toks.dtype) == ((2, 51, 4), torch.int64)
    first, second = codec.encode(signals[0], 16000), codec.encode(signals[1, :8000], 16000)
    assert np.array_equal(toks[0].T.numpy(), first.indices)
    assert np.array_equal(toks[1, :26].T.numpy(), second.indices)
    assert not toks[1, 26:].any()
    sums = module._toks_to_qfeats(toks, LENGTHS)
    assert torch.allclose(sums[0, 7], sum(words[book, toks[0, 7, book]] for book in range(4)), atol=1e-5)  # float32
    assert torch.equal(module._sig_to_qfeats(signals, LENGTHS), sums)
    feats = module._sig_to_feats(signals, LENGTHS)
    assert feats.shape == sums.shape
    error, level = (feats[0] - sums[0]).square().mean(), feats[0].var()
    assert error < 0.5 * level  # the codewords approximate what they quantise
    sound = module.toks_to_sig(toks, LENGTHS)
    assert np.array_equal(sound[0].numpy(), codec.decode(first.indices))
    assert np.array_equal(module._feats_to_sig(feats, torch.ones(2))[0].numpy(), codec.decode(first.indices))
    assert adapter.SqvaeCodec(8000, mode="encode")(signals[:, ::2]).shape == (2, 51, 4)


@taking("dasb")
def test_dasb(adapter: ModuleType, codec: sqcodec.Codec, signals: torch.Tensor) -> None:
    tokenizer = adapter.SqvaeTokenizer()
    tokens = tokenizer.sig_to_tokens(signals, LENGTHS, num_codebooks=2)
    assert (tokens.shape, tokens.dtype) == ((2, 51, 2), torch.int64)
    assert np.array_equal(tokens[0].T.numpy(), codec.encode(signals[0], 16000, codebooks=2).indices)
    assert np.array_equal(tokenizer.tokens_to_sig(tokens)[0].numpy(), codec.decode(tokens[0].T))
    assert tokenizer.sig_to_tokens(signals, None).shape == (2, 51, 4)
    words = tokenizer.get_pretrained_embeddings(vocab_size=256, num_codebooks=2, device="cpu")
    assert torch.equal(words, torch.from_numpy(codec.embeddings()[:2]).reshape(512, 64))
    with pytest.raises(ValueError, match="got vocab_size 1024, expected 256, the codewords of <Codec speech16k"):
        tokenizer.get_pretrained_embeddings(1024, 2)


@taking("audiocraft")
def test_audiocraft(adapter: ModuleType, codec: sqcodec.Codec, signals: torch.Tensor, tmp_path: Path) -> None:
    model = adapter.SqvaeCompressionModel().eval()
    properties = (model.channels, model.frame_rate, model.sample_rate, model.cardinality, model.total_codebooks)
    assert (*properties, model.num_codebooks) == (1, 50.0, 16000, 256, 10, 4)
    model.set_num_codebooks(2)
    codes, scale = model.encode(signals[:, None])
    assert (codes.shape, scale, model.num_codebooks) == ((2, 2, 51), None, 2)
    assert np.array_equal(codes[1].numpy(), codec.encode(signals[1], 16000, codebooks=2).indices)
    sound = model.decode(codes)
    assert sound.shape == (2, 1, 51 * 320)
    assert np.array_equal(sound[1, 0].numpy(), codec.decode(codes[1]))
    assert model.decode_latent(codes).shape == (2, 64, 51)
    with pytest.raises(sqcodec.SqcodecError, match="is trained by 'sqcodec train'"):
        model(signals[:, None])
    make_model(tmp_path / "model.safetensors")
    with pytest.raises(sqcodec.SqcodecError, match="codes of paper-mel hold no level; use log-mel"):
        adapter.SqvaeCompressionModel(str(tmp_path))


def test_importing_the_package_needs_no_other() -> None:
    importlib.import_module("sqcodec.adapters")
    importlib.import_module("sqcodec.adapters.batches")


def test_a_batch_gives_what_its_items_give(codec: sqcodec.Codec) -> None:
    """Lengths are those of the signals, relative to the longest, of which codes tell no more than their number."""
    from sqcodec.adapters import batches

    random = np.random.default_rng(0)
    for longest, item in random.integers(400, 30_000, (400, 2)).tolist():
        longest, item = max(longest, item), min(longest, item)
        counts = [codec.features.code_count(samples, 16000) for samples in (longest, item)]
        codes = torch.from_numpy(random.integers(1, 256, (2, 2, counts[0])))
        codes[1, :, counts[1] :] = 0
        found = batches._code_counts(codec, codes, torch.tensor([1.0, item / longest]))
        assert found == counts
