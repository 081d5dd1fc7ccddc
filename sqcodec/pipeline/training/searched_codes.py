"""The codes that a codec finds for an utterance of a store, as the trainings need them that learn from codes."""

import math
import os
import zlib
from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.bitstream import sqc
from sqcodec.bitstream.context_model import ContextModel
from sqcodec.bitstream.priced_codes import PricedCodes
from sqcodec.bitstream.rate_search import Latents
from sqcodec.bitstream.sqc_header import BLOCK
from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.features.loudness import code_weights, frame_powers
from sqcodec.model.blockwise import encode_latents
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.runtime.threads import one_thread

_LARGEST = 60000.0  # error that 16 bits hold
_SPAN = 125.0  # from the dearest price of a bit to the cheapest: of speech16k from 180 to 3100 bit/s
_SUMS = 32  # of a frame that go on in the search, as of `encode`
_VERSIONS = 2  # of an utterance


@torch.inference_mode()
def codes_of_every_number(
    codec: SpectrogramCodec, split: StoreSplit, row: StoreRow
) -> tuple[NDArray[np.uint16], NDArray[np.float16]]:
    """Codes [T, K (K + 1) / 2] of an utterance, of every number of stages, and weighed errors [T, K]."""
    encoded, every = _encoded(codec, split, row)
    weights = torch.from_numpy(every).to(encoded.device)
    prefixes = codec.quantizer.encode_prefixes(encoded)
    latents = encoded[0, :, : codec.quantizer.dim]
    errors = [(latents - codec.quantizer.decode(codes)[0]).square().sum(-1) * weights for codes in prefixes]
    return (
        torch.cat([codes[0].T for codes in prefixes], dim=1).cpu().numpy().astype(np.uint16),
        torch.stack(errors, dim=1).clamp_max(_LARGEST).cpu().numpy().astype(np.float16),
    )


def codes_of_search(
    codec: SpectrogramCodec, split: StoreSplit, row: StoreRow, model: ContextModel
) -> Iterator[tuple[NDArray[np.uint16], NDArray[np.uint8]]]:
    """Codes [T, K], 0 beyond a frame's stages, and stages [T] of an utterance by the search that counts the bits of
    `model`: twice, at a dear and a cheap price of a bit, as its name decides."""
    codebook: NDArray[np.float32] = codec.quantizer.effective_codebook.detach().float().numpy(force=True)
    encoded, weights = _encoded(codec, split, row)
    latents = Latents(np.ascontiguousarray(encoded[0, :, : codec.quantizer.dim].numpy(force=True)), weights)
    spans = [slice(each.start, each.stop) for each in sqc.blocks(len(latents.z), BLOCK)]
    with one_thread():
        priced = PricedCodes(latents, codebook, model, sweeps=1, sums=_SUMS, spans=spans)
    place = zlib.crc32(os.fsencode(row.name)) / 2**32
    for version in range(_VERSIONS):
        cheaper = (version + place) / _VERSIONS  # 0: the dearest price, 1: the cheapest
        with one_thread():
            parts = priced.at(priced.dearest * math.exp(-cheaper * math.log(_SPAN)))
        stages = np.concatenate([part.stages for part in parts])
        codes = np.zeros((len(stages), len(codebook)), np.uint16)
        found = np.concatenate([part.codes for part in parts], axis=1).T
        codes[:, : found.shape[1]] = np.where(np.arange(found.shape[1]) < stages[:, None], found, 0)
        yield codes, stages


@torch.inference_mode()
def _encoded(codec: SpectrogramCodec, split: StoreSplit, row: StoreRow) -> tuple[torch.Tensor, NDArray[np.float32]]:
    """The encoder's output [1, T, channels] and the weights [T] of errors."""
    features = torch.from_numpy(split.features_of(row))
    device = next(codec.parameters()).device
    every = [latents for _, latents in encode_latents(codec, [features], row.frames, device)]
    loudness = float(getattr(codec.recipe.target, "loudness", 0.0))
    powers = frame_powers(features.numpy(), codec.features)
    return torch.cat(every)[None], code_weights([powers], codec.features, loudness)
