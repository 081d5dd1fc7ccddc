"""Rows about the quantiser: time and memory of Gaussian SQ against the form of the equation, costs of all systems."""

import json
import statistics
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from unittest import mock

import numpy as np
import torch
from torch import Tensor

from benchmarks.timing import Figures, Setting, Work, usage, wall_ratios
from sqcodec.pipeline.training.comparison import plan, system_names
from sqcodec.quantizers import gaussian
from sqcodec.quantizers.build import build_quantizer

BATCH, LATENTS = 52, 16  # of the paper: 52 crops of 16 latents
SHAPE = f"N={BATCH * LATENTS} V=512 D=64"


def broadcast_logits(z: Tensor, precision: Tensor, codebook: Tensor) -> Tensor:
    """gaussian_logits as the equation reads: it makes [N, V, D]."""
    return -0.5 * (precision[:, None] * (z[:, None] - codebook).square()).sum(-1)


def quantizer_pass(system: str) -> Work:
    """Forward and backward in training of one of the systems of `sqcodec compare` on one batch of the paper."""
    torch.manual_seed(0)
    (cell,) = plan("vctk", systems=[system], seeds=[0])
    quantizer = build_quantizer(cell.recipe.quantizer)
    encoded = torch.randn(BATCH, LATENTS, quantizer.channels, requires_grad=True)

    def work() -> None:
        done = quantizer(encoded, temperature=0.5)
        (done.z_q.square().sum() + done.quadratic.sum() - done.entropy.sum()).backward()
        quantizer.zero_grad(set_to_none=True)
        encoded.grad = None

    return work


def broadcast_pass() -> Work:
    """The same for Gaussian SQ (IV), with the logits of the equation."""
    ours = quantizer_pass("sq-IV")

    def work() -> None:
        with mock.patch.object(gaussian, "gaussian_logits", broadcast_logits):
            ours()

    return work


def time_ratio(setting: Setting) -> Figures:
    figures = wall_ratios(broadcast_pass(), quantizer_pass("sq-IV"), setting.runs)
    what = f"Gaussian SQ IV, {SHAPE}, forward and backward: time of [N, V, D] / ours"
    return Figures(what, "x", figures, "3 or more")


def memory_ratio(setting: Setting) -> Figures:
    slow, fast = broadcast_pass(), quantizer_pass("sq-IV")
    figures = [peak_bytes(fast) / peak_bytes(slow) for _ in range(min(setting.runs, 3))]
    return Figures("the same: peak memory of ours / [N, V, D]", "x", figures, "0.25 or less")


def peak_bytes(work: Work) -> int:
    """The most memory that tensors made by `work` held at one time, from the profiler's allocations and releases."""
    work()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True, acc_events=True
    ) as profile:
        work()
    with tempfile.TemporaryDirectory() as folder:
        profile.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text("utf-8"))["traceEvents"]
    memory = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]")
    return int(np.cumsum([size for _, size in memory]).max())


def cost(setting: Setting, *, system: str) -> Figures:
    """What a quantiser costs a training step, against the plainest one."""
    work = quantizer_pass(system)
    figures = wall_ratios(work, quantizer_pass("vq"), setting.runs)
    milliseconds = 1e3 * statistics.median(usage(work).wall for _ in range(setting.runs))
    what = f"{system}, {SHAPE}, forward and backward: time / vq ({milliseconds:.1f} ms)"
    return Figures(what, "x", figures)


ROWS: dict[str, Callable[[Setting], Figures]] = {
    "quantizer-time": time_ratio,
    "quantizer-memory": memory_ratio,
    **{f"cost-{system}": partial(cost, system=system) for system in system_names("mel")},
}
