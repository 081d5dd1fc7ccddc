"""What one rank of a test does: a few training steps of each case, from a fresh start or resumed; see test_ranks.py.

python -m torch.distributed.run --nproc-per-node 2 -m tests.train.ranks_at_work STORE OUT STEPS [resume]
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from sqcodec.corpus.store import open_store
from sqcodec.pipeline.training.launch import make_fabric, part, started_processes
from sqcodec.recipe import load_recipe
from sqcodec.train.codec_trainer import CodecTrainer
from tests.train.conftest import SMALL

VQ = "commitment: 0.25, weighting: sums, initialisation: data"
RESIDUAL = "kind: residual, stages: 3, codewords: 8, dim: 4, initial_variance: 1.0, ratio: 0.5, dropout: 0.5"
NETWORK = (
    "network={kind: convnext, dim: 16, hidden: 32, encoder_layers: 2, decoder_layers: 2, encoder_lookahead: 1,"
    " decoder_lookahead: 1}"
)
CASES = {
    "iv": (),
    "loud": ("target.loudness=0.2",),
    "crops": ("target.loudness=0.2", "target.variance=crop"),
    "vmf": ("quantizer={kind: vmf, codewords: 16, dim: 4, initial_concentration: 10.0}",
            "target={kind: mel-classes, likelihood: vmf}"),
    "ema": (f"quantizer={{kind: vq-ema, codewords: 16, dim: 4, decay: 0.9, epsilon: 1.0e-5, reset_below: 0.5, {VQ}}}",),
    "vae": ("quantizer={kind: none, dim: 4}",),
    "residual": (f"quantizer={{{RESIDUAL}, warmup_steps: 0, freeze_step: null}}", NETWORK),
    "rate": (f"quantizer={{{RESIDUAL}, warmup_steps: 0, freeze_step: null}}", NETWORK, "train.rate=1.0",
             "context.hidden=8", "context.width=8"),
    "warm": (f"quantizer={{{RESIDUAL}, warmup_steps: 1, freeze_step: 2}}", NETWORK),
}  # fmt: skip


def work(store: Path, out: Path, steps: int, *, resume: bool) -> None:
    """Train each case and leave what this rank has: `<case>-<rank>.safetensors`, and the first rank's checkpoint."""
    for name, overrides in CASES.items():
        recipe = load_recipe("zerospeech2019", (*SMALL, "train.learning_rate=1.0e-3", *overrides))
        fabric = make_fabric(
            "cpu", "32-true", processes=started_processes(), resting=name in ("residual", "rate", "warm")
        )
        trainer = CodecTrainer(recipe, open_store(store), out / name, fabric)
        (out / name).mkdir(parents=True, exist_ok=True)
        if resume:
            trainer.resume()
        for _ in range(steps):
            trainer.advance()
        trainer.save()
        state = dict(trainer.codec.state_dict())
        state |= {
            f"gradient.{key}": each.grad for key, each in trainer.codec.named_parameters() if each.grad is not None
        }
        if trainer.context is not None:
            state |= {f"context.{key}": each.grad for key, each in trainer.context.named_parameters()}
            state |= trainer.context.state_dict()
        state |= {"counts": trainer.counts, "sums": torch.stack(list(trainer.losses.state()["sums"].values()))}
        state = {key: value.clone().contiguous() for key, value in state.items()}
        save_file(state, out / f"{name}-{fabric.global_rank}.safetensors")
        fabric.barrier()
    part(fabric)  # a process that ends with its group aborts at times: gloo's threads outlive the interpreter


if __name__ == "__main__":
    work(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), resume=sys.argv[4:] == ["resume"])
