"""Rows about the network alone, between features and codes: the authors' as they run it against ours.

Theirs is written here from the paper's equations: BatchNorm as such, distances as `[N, V, D]`, the soft sample and the
entropies of training, gradients recorded, whole recordings.
"""

import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

import sqcodec
from benchmarks.speech import SAMPLE_RATE, Samples, usable_recordings
from benchmarks.timing import Figures, Setting, Work, cpu_ratios, usage
from sqcodec.features import mel
from sqcodec.model.assembly import build_codec
from sqcodec.model.blockwise import decode_features, encode_features, with_context
from sqcodec.model.model_file import save_model
from sqcodec.recipe import load_recipe

LONG = 60 * SAMPLE_RATE  # samples
Direction = Literal["codes", "features"]


class Pair(NamedTuple):
    """Two ways to do one thing, and the seconds of sound that they do it to."""

    slow: Work
    fast: Work
    seconds: float


def random_codec(folder: Path, recordings: Sequence[Samples]) -> "sqcodec.Codec":
    """The paper's model with random weights, as fast as a trained one; its normalisation fits the recordings."""
    torch.manual_seed(0)
    model = build_codec(load_recipe("vctk").codec, ("p225",))
    with torch.no_grad():
        for samples in recordings[:10]:
            model.encoder(mel.extract(torch.from_numpy(samples), model.features)[None, :, :1000])
        model.state_dict()["encoder.layers.15.weight"][:64] *= 8  # latents as far apart as the codewords
    save_model(folder / "model.safetensors", model, 0)
    return sqcodec.load(str(folder / "model.safetensors"))


def authors_encoder(weights: dict[str, Tensor]) -> nn.Sequential:
    """Five convolutions, each with BatchNorm and ReLU, and a 1x1."""
    layers: list[nn.Module] = []
    for inputs, kernel, stride, padding in (
        (80, 3, 1, 0),
        (768, 3, 1, 1),
        (768, 4, 2, 1),
        (768, 3, 1, 1),
        (768, 3, 1, 1),
    ):
        layers += [nn.Conv1d(inputs, 768, kernel, stride, padding, bias=False), nn.BatchNorm1d(768), nn.ReLU()]
    encoder = nn.Sequential(*layers, nn.Conv1d(768, 128, 1))
    encoder.load_state_dict(
        {name.removeprefix("encoder.layers."): value for name, value in weights.items() if name.startswith("encoder.")}
    )
    return encoder.eval()


def authors_codes(encoder: nn.Sequential, codebook: Tensor, log_var_scalar: Tensor, features: Tensor) -> Tensor:
    """features [1, F, T + 2] -> codes [T / 2]; with all that a training step computes up to the decoder (eq. 7, 8)."""
    z, log_var = encoder(features)[0].T.chunk(2, dim=1)
    precision = torch.exp(-(log_var + log_var_scalar))
    distance = 0.5 * (precision[:, None] * (z[:, None] - codebook).square()).sum(-1)  # [N, V, D] on the way
    probabilities, log_probabilities = torch.softmax(-distance, -1), torch.log_softmax(-distance, -1)
    z_q = functional.gumbel_softmax(-distance, tau=0.5) @ codebook
    _ = (probabilities * log_probabilities).sum(-1).mean(), (precision * (z - z_q).square()).sum()
    codes: Tensor = (-distance).argmax(-1)
    return codes


class AuthorsDecoder(nn.Module):
    """Nearest up-sampling, speaker embedding, two bidirectional GRU layers, a linear layer; weights as in our files."""

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.speakers, self.output = nn.Embedding(1, 64), nn.Linear(256, 80)
        self.recurrent = nn.GRU(128, 128, num_layers=2, batch_first=True, bidirectional=True)
        self.load_state_dict(
            {name.removeprefix("decoder."): value for name, value in weights.items() if name.startswith("decoder.")}
        )

    def forward(self, z_q: Tensor) -> Tensor:
        """z_q [T, D] -> features [F, 2 T]."""
        frames = functional.interpolate(z_q.T[None], scale_factor=2, mode="nearest").transpose(1, 2)
        speaker = self.speakers(torch.zeros(1, dtype=torch.int64)).expand(frames.shape[1], -1)
        decoded: Tensor = self.output(self.recurrent(torch.cat([frames, speaker[None]], dim=-1))[0])
        return decoded[0].T


def networks(recordings: Sequence[Samples], folder: Path, direction: Direction) -> Pair:
    """The encoder and quantiser, or the decoder, on the features or codes of each recording, one after the other."""
    codec = random_codec(folder, recordings)
    unfolded = load_weights(folder / "model.safetensors")
    features = [mel.extract(torch.from_numpy(samples), codec.model.features) for samples in recordings]
    features = [each[:, : each.shape[1] // 2 * 2] for each in features]
    seconds = sum(each.shape[1] for each in features) / 100
    theirs, ours = codes_pair(codec, unfolded, features)
    codes = theirs()
    same = torch.cat(codes) == torch.cat(ours())
    assert same.float().mean() > 0.999, "the networks differ"  # two distances may tie within rounding
    return Pair(theirs, ours, seconds) if direction == "codes" else features_pair(codec, unfolded, codes, seconds)


def codes_pair(
    codec: "sqcodec.Codec", weights: dict[str, Tensor], features: Sequence[Tensor]
) -> tuple[Callable[[], list[Tensor]], Callable[[], list[Tensor]]]:
    """Features [F, T] of each recording to codes [T / 2], theirs and ours."""
    encoder = authors_encoder(weights)
    framed = [with_context(codec.model, each)[None] for each in features]

    def theirs() -> list[Tensor]:
        codebook, scalar = weights["quantizer.codebook"], weights["quantizer.log_var_scalar"]
        return [authors_codes(encoder, codebook, scalar, each) for each in framed]

    def ours() -> list[Tensor]:
        blocks = [encode_features(codec.model, [each], each.shape[1], codec.device) for each in features]
        return [torch.cat([codes for _, codes in each], dim=1)[0] for each in blocks]

    return theirs, ours


def features_pair(codec: "sqcodec.Codec", weights: dict[str, Tensor], codes: Sequence[Tensor], seconds: float) -> Pair:
    """Codes of each recording to features, theirs and ours."""
    decoder, codebook = AuthorsDecoder(weights), weights["quantizer.codebook"]
    indices = [each[None].numpy().astype(np.uint16) for each in codes]

    def theirs() -> list[Tensor]:
        return [decoder(codebook[each]) for each in codes]

    def ours() -> list[Tensor]:
        return [torch.cat(list(decode_features(codec.model, each, 0)), dim=1) for each in indices]

    worst = max((a - b).abs().max().item() for a, b in zip(ours(), theirs(), strict=True))
    assert worst < 1e-4, "the networks differ"
    return Pair(theirs, ours, seconds)


def load_weights(path: Path) -> dict[str, Tensor]:
    """As they are in the file."""
    return {name: value for name, value in load_file(path).items() if not name.startswith("tables.")}


def network(setting: Setting, *, direction: Direction, long: bool) -> Figures:
    """One way through the network; long: the recordings as one of up to a minute. CPU time."""
    files = usable_recordings(setting.speech)
    files = [np.concatenate(files)[:LONG]] if long else files
    with tempfile.TemporaryDirectory() as folder:
        pair = networks(files, Path(folder), direction)
        figures = cpu_ratios(pair.slow, pair.fast, setting.runs)
        speed = pair.seconds / usage(pair.fast).cpu
    way = {"codes": "features to codes", "features": "codes to features"}[direction]
    what = f"{way}, {len(files)} recording(s): authors' network as written / ours ({speed:.0f} x real time)"
    return Figures(what, "x", figures, "2 or more")


ROWS: dict[str, Callable[[Setting], Figures]] = {
    "network-codes": partial(network, direction="codes", long=False),
    "network-codes-long": partial(network, direction="codes", long=True),
    "network-features": partial(network, direction="features", long=False),
    "network-features-long": partial(network, direction="features", long=True),
}
