"""Prior files: safetensors with the codec's fingerprint, the speakers and the configuration in the header."""

from pathlib import Path

import torch

from sqcodec.errors import ModelError
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig
from sqcodec.tensor_files import TensorFormat, read_tensors, save_tensors

FORMAT = 1
PRIOR = "prior.safetensors"  # the name of its file, beside the model
_KIND = TensorFormat(
    key="sqcodec",
    newest=FORMAT,
    error=ModelError,
    missing="there is no prior; 'sqcodec train RECIPE' with `stage` prior makes one",
    newer="prior format {found}, this sqcodec reads up to {newest}",
    expected="not a prior of sqcodec ({reason})",
)


def save_prior(path: Path, prior: CodePrior, *, fingerprint: str, speakers: tuple[str, ...], step: int) -> None:
    """Write the prior atomically. fingerprint: that of the codec whose codes it models."""
    header = {
        "format": FORMAT, "fingerprint": fingerprint, "speakers": speakers, "step": step,
        "codewords": prior.codewords, "prior": prior.config.model_dump(mode="json"),
    }  # fmt: skip
    save_tensors(path, prior.state_dict(), header, _KIND)


def load_prior(path: Path, *, fingerprint: str, speakers: tuple[str, ...], device: torch.device) -> CodePrior:
    """The prior of these codes. Raises ModelError: there is none, it is damaged, or it is for other codes."""
    header, weights = read_tensors(path, _KIND)
    if header.get("fingerprint") != fingerprint or tuple(header.get("speakers", ())) != speakers:
        raise ModelError(
            f"{path}: a prior for the codes {header.get('fingerprint')}, got a model with {fingerprint};"
            " train it again: 'sqcodec train RECIPE' with `stage` prior"
        )
    try:
        config = PriorConfig.model_validate(header["prior"])
        prior = CodePrior(config, codewords=tuple(header["codewords"]), speakers=len(speakers))
        prior.load_state_dict(weights)
    except (LookupError, TypeError, ValueError, RuntimeError, MemoryError, OverflowError, AttributeError) as error:
        raise ModelError(f"{path}: damaged ({type(error).__name__}); train or fetch it again") from None
    return prior.to(device).eval()
