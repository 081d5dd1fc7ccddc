"""What a decoder of packets in another language needs: multiplications, weights, state, functions and tables.

Counted from the arrays of the model that ships, so the figures follow the model.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

import sqcodec
from sqcodec.bitstream.packets import CODES
from sqcodec.errors import ModelError
from sqcodec.nn.taps import TAPS
from sqcodec.pipeline.measuring.complexity import complexity_of
from sqcodec.pipeline.measuring.operations import Group
from sqcodec.runtime.istft_vocoder import NumpyIstftVocoder
from sqcodec.runtime.layers import Blocks
from sqcodec.runtime.networks import Decoder, IstftNetwork
from sqcodec.runtime.numpy_engine import NumpyEngine

_FRAMES_PER_PACKET, _PACKETS_PER_SECOND = 4, 25


class Part(NamedTuple):
    """A part of the decoder. weights: numbers; products: multiplications with weights a packet of 40 ms; state: numbers
    kept from a packet to the next; functions: exp, sine and cosine a packet."""

    name: str
    weights: int
    products: int
    state: int
    functions: int


def report(model: str) -> Iterator[str]:
    """Lines of a table in Markdown. Raises ModelError: a model that cannot be streamed."""
    codec = sqcodec.load(model, device="cpu")
    vocoder = codec.vocoder(None).vocoder
    if not isinstance(codec.engine, NumpyEngine) or not isinstance(vocoder, NumpyIstftVocoder):
        raise ModelError(f"{codec.path}: cannot be streamed")
    n_fft, hop = vocoder.n_fft, codec.features.hop_length
    groups = complexity_of(codec, stages=0).groups
    parts = [
        Part("codebooks", codec.embeddings().size, 0, 0, 0),
        _decoder(codec.engine.decoder, _products(groups, "decoder")),
        _vocoder(vocoder.network, codec.features.n_mels, _products(groups, "vocoder")),
        Part("inverse STFT, 4 frames", n_fft, _products(groups, "inverse STFT"), 2 * (n_fft - hop), 0),
    ]
    parts.append(Part("**together**", *(sum(column) for column in list(zip(*parts, strict=True))[1:])))
    yield "| part | weights | products / 40 ms | million products / s | state, numbers | exp, sin, cos / 40 ms |"
    yield "|---|---:|---:|---:|---:|---:|"
    for part in parts:
        millions = f"{_PACKETS_PER_SECOND * part.products / 1e6:.1f}"
        yield (
            f"| {part.name} | {part.weights:,} | {part.products:,} | {millions} | {part.state:,} | {part.functions:,} |"
        )


def _decoder(decoder: Decoder, products: int) -> Part:
    weights, state, functions = _blocks(decoder.blocks, CODES)
    return Part("decoder, 2 codes", weights + _size(decoder.embed) + _size(decoder.output), products, state, functions)


def _vocoder(network: IstftNetwork, bands: int, products: int) -> Part:
    weights, state, functions = _blocks(network.blocks, _FRAMES_PER_PACKET)
    head = network.head
    norms = sum(_size(norm) for norm in (network.norm_in, network.norm_out))
    return Part(
        "vocoder, 4 frames",
        weights + _size(network.embed) + _size(head) + norms,
        products,
        state + (TAPS - 1) * bands,
        functions + _FRAMES_PER_PACKET * 3 * (head[0].shape[1] // 2),
    )


def _products(groups: Iterable[Group], part: str) -> int:
    """Of a packet."""
    return round(sum(group.macs for group in groups if group.part == part) / _PACKETS_PER_SECOND)


def _blocks(blocks: Blocks, frames: int) -> tuple[int, int, int]:
    """Weights, state and functions."""
    weights = sum(2 * block.dim * block.hidden + (TAPS + 2) * block.dim + block.hidden for block in blocks.blocks)
    state = sum((TAPS - 1) * block.dim for block in blocks.blocks)
    return weights, state, frames * sum(block.hidden for block in blocks.blocks)


def _size(layer: tuple[np.ndarray, np.ndarray]) -> int:
    return sum(array.size for array in layer)
