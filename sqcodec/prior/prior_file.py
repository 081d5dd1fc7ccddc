"""Prior files: safetensors with the codec's fingerprint, the speakers and the configuration in the header."""

import json
import os
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save

from sqcodec.errors import ModelError
from sqcodec.prior.transformer import CodePrior
from sqcodec.recipe import PriorConfig

FORMAT = 1
PRIOR = "prior.safetensors"  # the name of its file, beside the model


def save_prior(path: Path, prior: CodePrior, *, fingerprint: str, speakers: tuple[str, ...], step: int) -> None:
    """Write the prior atomically. fingerprint: of the codes it is for."""
    header = {
        "format": FORMAT, "fingerprint": fingerprint, "speakers": speakers, "step": step,
        "codewords": prior.codewords, "prior": prior.config.model_dump(mode="json"),
    }  # fmt: skip
    weights = {name: value.detach().cpu().contiguous() for name, value in prior.state_dict().items()}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(save(weights, metadata={"sqcodec": json.dumps(header)}))
    draft.replace(path)


def load_prior(path: Path, *, fingerprint: str, speakers: tuple[str, ...], device: torch.device) -> CodePrior:
    """The prior of these codes. Raises ModelError: there is none, it is damaged, or it is for other codes."""
    header = _read_header(path)
    if header.get("fingerprint") != fingerprint or tuple(header.get("speakers", ())) != speakers:
        raise ModelError(
            f"{path}: made for the codes {header.get('fingerprint')}, got a model with {fingerprint};"
            " train it again with `stage` prior of 'sqcodec train RECIPE'"
        )
    try:
        config = PriorConfig.model_validate(header["prior"])
        prior = CodePrior(config, codewords=tuple(header["codewords"]), speakers=len(speakers))
        prior.load_state_dict(load_file(path))
    except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"{path}: damaged ({type(error).__name__}); train or fetch it again") from None
    return prior.to(device).eval()


def _read_header(path: Path) -> dict[str, Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["sqcodec"])
        if header["format"] > FORMAT:
            raise ModelError(f"{path}: prior format {header['format']}, this sqcodec reads up to {FORMAT}")
    except FileNotFoundError:
        raise ModelError(f"{path}: there is no prior; 'sqcodec train RECIPE' with `stage` prior makes one") from None
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise ModelError(f"{path}: not a prior of sqcodec ({type(error).__name__})") from None
    assert isinstance(header, dict)
    return header
