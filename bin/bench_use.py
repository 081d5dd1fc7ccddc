"""The rows of bin/bench about use: prep, encode, decode, start.

The network that ours is compared with is written here from the paper's equations, as its authors run it: BatchNorm as
such, distances as `[N, V, D]`, the soft sample and the entropies of training, gradients recorded, whole recordings.
"""

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
import soxr
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

import sqcodec
from sqcodec.features import mel
from sqcodec.model.blockwise import decode_features, encode_features, with_context
from sqcodec.model.model_file import save_model
from sqcodec.model.spectrogram_codec import SpectrogramCodec
from sqcodec.pipeline.coding import folders
from sqcodec.pipeline.training.prepare import prepare
from sqcodec.recipe import load_recipe
from sqcodec.spectrogram import FEATURES

SAMPLE_RATE = FEATURES["log-mel"].sample_rate

LONG = 60 * SAMPLE_RATE  # samples
SHORT = 3 * SAMPLE_RATE
COMMAND = [sys.executable, "-c", "from sqcodec.cli.main import main; main()"]


class Pair(NamedTuple):
    """Two ways to do one thing, and the seconds of sound that they do it to."""

    slow: Callable[[], object]
    fast: Callable[[], object]
    seconds: float


def random_codec(folder: Path, recordings: list[np.ndarray]) -> "sqcodec.Codec":
    """The paper's model with random weights, as fast as a trained one; its normalisation fits the recordings."""
    torch.manual_seed(0)
    model = SpectrogramCodec(load_recipe("vctk"), ("p225",))
    with torch.no_grad():
        for samples in recordings[:10]:
            model.encoder(mel.extract(torch.from_numpy(samples), model.features)[None, :, :1000])
        model.encoder.layers[-1].weight[:64] *= 8  # latents as far apart as the codewords
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
    return (-distance).argmax(-1)


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
        voice = self.speakers(torch.zeros(1, dtype=torch.int64)).expand(frames.shape[1], -1)
        return self.output(self.recurrent(torch.cat([frames, voice[None]], dim=-1))[0])[0].T


def networks(recordings: list[np.ndarray], folder: Path, direction: str) -> Pair:
    """The encoder and quantiser, or the decoder, on the features or codes of each recording, one after the other."""
    codec = random_codec(folder, recordings)
    unfolded = load_weights(folder / "model.safetensors")
    features = [mel.extract(torch.from_numpy(samples), codec.model.features) for samples in recordings]
    features = [each[:, : each.shape[1] // 2 * 2] for each in features]
    seconds = sum(each.shape[1] for each in features) / 100
    codebook = unfolded["quantizer.codebook"]
    encoder, decoder = authors_encoder(unfolded), AuthorsDecoder(unfolded)
    framed = [with_context(codec.model, each)[None] for each in features]

    def ours_codes() -> list[Tensor]:
        of = [encode_features(codec.model, [each], each.shape[1], codec.device) for each in features]
        return [torch.cat([codes for _, codes in one], dim=1)[0] for one in of]

    def theirs_codes() -> list[Tensor]:
        return [authors_codes(encoder, codebook, unfolded["quantizer.log_var_scalar"], each) for each in framed]

    codes = theirs_codes()
    same = torch.cat(codes) == torch.cat(ours_codes())
    assert same.float().mean() > 0.999, "the networks differ"  # two distances may tie within rounding
    if direction == "codes":
        return Pair(theirs_codes, ours_codes, seconds)
    indices = [each[None].numpy().astype(np.uint16) for each in codes]

    def ours_features() -> list[Tensor]:
        return [torch.cat(list(decode_features(codec.model, each, 0)), dim=1) for each in indices]

    def theirs_features() -> list[Tensor]:
        return [decoder(codebook[each]) for each in codes]

    worst = max((a - b).abs().max().item() for a, b in zip(ours_features(), theirs_features(), strict=True))
    assert worst < 1e-4, "the networks differ"
    return Pair(theirs_features, ours_features, seconds)


def load_weights(path: Path) -> dict[str, Tensor]:
    """As they are in the file."""
    return {name: value for name, value in load_file(path).items() if not name.startswith("tables.")}


def write_recordings(recordings: list[np.ndarray], folder: Path, rate: int) -> float:
    """Recordings as <speaker>/<utterance>.flac at `rate`, 16 bit; seconds of all."""
    (folder / "a").mkdir(parents=True)
    for number, samples in enumerate(recordings):
        sound = samples if rate == SAMPLE_RATE else soxr.resample(samples, SAMPLE_RATE, rate)
        soundfile.write(folder / "a" / f"{number:04}.flac", sound.clip(-1, 1), rate, subtype="PCM_16")
    return sum(map(len, recordings)) / SAMPLE_RATE


class Usage(NamedTuple):
    """CPU and wall seconds."""

    cpu: float
    wall: float


def usage(work: Callable[[], object]) -> Usage:
    """What `work` takes in this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Usage(time.process_time() - cpu, time.perf_counter() - wall)


def cpu_ratios(slow: Callable[[], object], fast: Callable[[], object], runs: int) -> list[float]:
    """CPU time of `slow` over that of `fast`, in turns."""
    slow(), fast()
    return [usage(slow).cpu / usage(fast).cpu for _ in range(runs)]


def prep(recordings: list[np.ndarray], folder: Path, rate: int, runs: int) -> tuple[list[Usage], float]:
    """`prepare` in this process, so without its start, of recordings as FLAC at `rate`: each run, seconds of all."""
    seconds = write_recordings(recordings, folder / "speech", rate)
    outs = iter(range(runs + 1))  # a store that is there already is kept

    def work() -> None:
        prepare("folder", data=folder / "speech", out=folder / f"store{next(outs)}", jobs=1)

    return [usage(work) for _ in range(runs + 1)][1:], seconds


def short_against_long(recordings: list[np.ndarray], folder: Path, runs: int) -> list[float]:
    """Throughput of encoding a folder of files of 3 s over that of one file of 60 s, speaker given, in CPU time."""
    random_codec(folder, recordings)
    whole = np.concatenate(recordings)
    whole = np.tile(whole, -(-LONG // len(whole)))[:LONG]
    write_recordings([whole], folder / "long", SAMPLE_RATE)
    write_recordings(np.split(whole, LONG // SHORT), folder / "short", SAMPLE_RATE)
    count = iter(range(10**6))

    def encoded(source: str) -> None:
        out, how = folder / f"{source}-{next(count)}", folders.Workers(1, "local")
        _encode_folder(folder / source, out, folder / "model.safetensors", how)

    return cpu_ratios(lambda: encoded("long"), lambda: encoded("short"), runs)


def _encode_folder(source: Path, out: Path, model: Path, how: folders.Workers) -> None:
    done = folders.encode_folder(
        source, out, model=str(model), speaker="p225", device="cpu", form="sqc", codebooks=None, bit_rate=None,
        how=how, progress=lambda _done, _total: None,
    )  # fmt: skip
    assert done.done
    assert not done.failed


def starts(recordings: list[np.ndarray], folder: Path) -> dict[str, list[str]]:
    """Command lines whose start is measured: --help, inspect, encode of 3 s, and an import of torch to compare."""
    codec = random_codec(folder, recordings)
    whole = np.concatenate(recordings)
    soundfile.write(folder / "in.wav", whole[:SHORT], SAMPLE_RATE)
    (folder / "codes.sqc").write_bytes(codec.pack(codec.encode(whole[:SHORT], speaker="p225")))
    model = ["--model", str(folder / "model.safetensors")]
    return {
        "help": [*COMMAND, "--help"],
        "inspect": [*COMMAND, "inspect", str(folder / "codes.sqc"), *model],
        "start-encode": [*COMMAND, "encode", str(folder / "in.wav"), str(folder / "out.sqc"), *model],
        "torch": [sys.executable, "-c", "import torch"],
    }


def child_usage(command: list[str]) -> Usage:
    """What a new process takes, from its start to its end."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Usage(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall)
