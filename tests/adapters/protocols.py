"""The interfaces that the adapters implement, as their projects state them (names, signatures, what the base classes do
with them). Where a project's package is installed, its own base class is used."""

import importlib.util
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pytest
import torch
import torchaudio


@dataclass
class ExtractedUnit:
    unit: torch.Tensor  # [K, T]
    stuff_for_synth: object


@dataclass
class BatchExtractedUnit:
    units: list[torch.Tensor]
    stuff_for_synth: list[Any]
    batch_size: int


class BaseCodec(ABC):
    """voidful/Codec-SUPERB, SoundCodec/base_codec/general.py."""

    def __init__(self):
        self.device = "cpu"
        self.sampling_rate = None
        self.setting = None
        self.config()

    @abstractmethod
    def config(self): ...

    @abstractmethod
    def extract_unit(self, data): ...

    @abstractmethod
    def decode_unit(self, stuff_for_synth): ...

    def synth(self, data, local_save=True):
        extracted = self.extract_unit(data)
        data["unit"] = extracted.unit
        data["audio"]["array"] = self.decode_unit(extracted.stuff_for_synth)
        return data

    def batch_synth(self, data_list, local_save=True):
        batch = self.batch_extract_unit(data_list)
        sounds = self.batch_decode_unit(batch)
        for data, sound, unit in zip(data_list, sounds, batch.units, strict=True):
            data["unit"], data["audio"]["array"] = unit, sound
        return data_list


class AudioCodec(torch.nn.Module, ABC):
    """lucadellalib/audiocodecs, audiocodecs/codec.py: class Codec."""

    def __init__(self, sample_rate, orig_sample_rate, mode="reconstruct"):
        super().__init__()
        self.sample_rate, self.orig_sample_rate, self.mode = sample_rate, orig_sample_rate, mode

    def forward(self, input, length=None):
        if self.mode == "encode":
            return self.sig_to_toks(input, length)
        if self.mode == "decode":
            return self.toks_to_sig(input, length)
        return self.toks_to_sig(self.sig_to_toks(input, length), length)

    def sig_to_toks(self, sig, length=None):
        sig = torchaudio.functional.resample(sig, self.sample_rate, self.orig_sample_rate)
        return self._sig_to_toks(sig, torch.ones(len(sig)) if length is None else length)

    def toks_to_sig(self, toks, length=None):
        sig = self._toks_to_sig(toks, torch.ones(len(toks)) if length is None else length)
        return torchaudio.functional.resample(sig, self.orig_sample_rate, self.sample_rate)

    @abstractmethod
    def embs(self): ...

    @abstractmethod
    def _sig_to_toks(self, sig, length): ...

    @abstractmethod
    def _sig_to_feats(self, sig, length): ...

    @abstractmethod
    def _sig_to_qfeats(self, sig, length): ...

    @abstractmethod
    def _toks_to_qfeats(self, toks, length): ...

    @abstractmethod
    def _toks_to_sig(self, toks, length): ...

    @abstractmethod
    def _feats_to_sig(self, feats, length): ...


class BaseTokenizer(ABC):
    """speechbrain/benchmarks (DASB), model/tokenizer_interface.py."""

    @abstractmethod
    def sig_to_tokens(self, signal, lengths, num_codebooks=None, **kwargs): ...

    @abstractmethod
    def tokens_to_sig(self, tokens, **kwargs): ...

    @abstractmethod
    def get_pretrained_embeddings(self, vocab_size, num_codebooks, device="cpu", **kwargs): ...


class CompressionModel(ABC, torch.nn.Module):
    """facebookresearch/audiocraft, audiocraft/models/encodec.py."""

    @abstractmethod
    def forward(self, x): ...

    @abstractmethod
    def encode(self, x): ...

    @abstractmethod
    def decode(self, codes, scale=None): ...

    @abstractmethod
    def decode_latent(self, codes): ...

    @property
    @abstractmethod
    def channels(self): ...

    @property
    @abstractmethod
    def frame_rate(self): ...

    @property
    @abstractmethod
    def sample_rate(self): ...

    @property
    @abstractmethod
    def cardinality(self): ...

    @property
    @abstractmethod
    def num_codebooks(self): ...

    @property
    @abstractmethod
    def total_codebooks(self): ...

    @abstractmethod
    def set_num_codebooks(self, n): ...


MODULES = {
    "SoundCodec.base_codec.general": {
        "BaseCodec": BaseCodec, "ExtractedUnit": ExtractedUnit, "BatchExtractedUnit": BatchExtractedUnit,
    },
    "audiocodecs.codec": {"Codec": AudioCodec},
    "model.tokenizer_interface": {"BaseTokenizer": BaseTokenizer},
    "audiocraft.models.encodec": {"CompressionModel": CompressionModel},
}  # fmt: skip


def provide(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Make `name` importable, with the protocol's classes if its package is not installed."""
    parts = name.split(".")
    if importlib.util.find_spec(parts[0]) is not None:
        return
    for depth in range(1, len(parts) + 1):
        path = ".".join(parts[:depth])
        module = ModuleType(path)
        module.__path__ = []  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, path, module)
    vars(module).update(MODULES[name])
