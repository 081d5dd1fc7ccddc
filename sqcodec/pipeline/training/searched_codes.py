"""The codes that a codec finds in a feature store, for the trainings that learn from codes."""

import numpy as np
import torch
from numpy.typing import NDArray

from sqcodec.corpus.store import StoreRow, StoreSplit
from sqcodec.features.loudness import code_weights, frame_powers
from sqcodec.model.blockwise import encode_latents
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.train.prefix_codes import PrefixCodes

_LARGEST = 60000.0  # error that 16 bits hold


def prefix_codes(codec: SpectrogramCodec, split: StoreSplit) -> PrefixCodes:
    """The codes of all utterances of a split, of every number of stages."""
    every = [_searched(codec, split, row) for row in split.rows]
    codes, errors = (np.concatenate(values) for values in zip(*every, strict=True))
    return PrefixCodes(codes, errors, [len(part) for part, _ in every])


@torch.inference_mode()
def _searched(
    codec: SpectrogramCodec, split: StoreSplit, row: StoreRow
) -> tuple[NDArray[np.uint16], NDArray[np.float16]]:
    """Codes [T, K (K + 1) / 2] of every number of stages, and weighed errors [T, K]."""
    features = torch.from_numpy(split.features_of(row))
    device = next(codec.parameters()).device
    every = [latents for _, latents in encode_latents(codec, [features], row.frames, device)]
    encoded = torch.cat(every)[None]
    loudness = float(getattr(codec.recipe.target, "loudness", 0.0))
    weights = torch.from_numpy(
        code_weights([frame_powers(features.numpy(), codec.features)], codec.features, loudness)
    ).to(device)
    prefixes = codec.quantizer.encode_prefixes(encoded)
    latents = encoded[0, :, : codec.quantizer.dim]
    errors = [(latents - codec.quantizer.decode(codes)[0]).square().sum(-1) * weights for codes in prefixes]
    return (
        torch.cat([codes[0].T for codes in prefixes], dim=1).cpu().numpy().astype(np.uint16),
        torch.stack(errors, dim=1).clamp_max(_LARGEST).cpu().numpy().astype(np.float16),
    )
