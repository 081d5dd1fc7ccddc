"""Write what a release leaves on users' disks: python tests/golden/make-release.py

Run from the root of a checkout, with PYTHONPATH=. A release that exists is never written again. Its folder holds
recipes of every kind, runs with checkpoints that resume (codec, residual codec, vocoders, prior) on tiny stores, model
files of each format, codes of `speech16k` in every form, and the decoded sounds by digest and by level.
"""

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save

import sqcodec
from sqcodec.bitstream import npy
from sqcodec.model.model_header import KIND
from sqcodec.pipeline.finding.models import resolve
from sqcodec.pipeline.training.train_codec import train
from sqcodec.pipeline.training.train_prior import train_prior_of
from sqcodec.pipeline.training.train_vocoder import FineTuning, train_vocoder
from sqcodec.recipe import load_recipe
from sqcodec.tensor_files import read_header
from tests.train.conftest import SMALL, make_store
from tests.train.vocoder.conftest import ISTFT, WORLD, make_sound_store

ROOT = Path(__file__).resolve().parents[2]
SPEECH = ROOT / "recipes" / "tiny" / "speech" / "VCTK-Corpus-0.92" / "wav48_silence_trimmed"
RATES = (400, 800, 1600, 3200)
PRIOR = ("prior.layers=1", "prior.dim=8", "prior.heads=2", "prior.context=16", "prior.steps=2", "prior.batch=2",
         "prior.evaluate_every=2", "prior.warmup=1")  # fmt: skip
RESIDUAL = (
    "quantizer.stages=3", "quantizer.codewords=8", "quantizer.dim=4", "quantizer.warmup_steps=2",
    "quantizer.freeze_step=5", "network.dim=8", "network.hidden=16",
    "network.encoder_layers=2", "network.decoder_layers=2", "train.batch=4",
    "train.frames=16", "train.steps=4", "train.log_every=2", "train.save_every=4", "train.evaluate_every=4",
    "train.milestones=[3]", "train.precision=32-true",
)  # fmt: skip


def main() -> None:
    folder = Path(__file__).parent / f"release-{sqcodec.__version__}"
    folder.mkdir()  # fails where it exists
    torch.manual_seed(0)
    write_recipes(folder / "recipes")
    write_runs(folder)
    write_formats(folder / "formats")
    write_codes(folder / "speech16k")


def write_recipes(folder: Path) -> None:
    folder.mkdir()
    for path in sorted((ROOT / "recipes").glob("*/recipe.yaml")):
        shutil.copy(path, folder / f"{path.parent.name}.yaml")


def write_runs(folder: Path) -> None:
    """Trainings stopped half-way: step 4 of more."""
    stores = {"paper-mel": make_store(folder / "codec-store"), "log-mel": make_sound_store(folder / "sound-store")}

    def said(entry: object) -> None:
        """Keep quiet."""

    quiet = {"device": "cpu", "resume": False, "report": said}
    short = (
        "train.steps=4",
        "train.save_every=4",
        "train.evaluate_every=4",
        "train.log_every=2",
        "train.milestones=[3]",
    )
    tiny = ("network.channels=8", "network.gru=4", "quantizer.dim=2")
    recipe = load_recipe("zerospeech2019", (*SMALL, *short, *tiny, *PRIOR))
    train(recipe, stores["paper-mel"], folder / "runs" / "gaussian", **quiet)
    train_prior_of(recipe, stores["paper-mel"], folder / "runs" / "gaussian", **quiet)
    ema = "quantizer={kind: vq-ema, codewords: 16, dim: 2, commitment: 0.25, decay: 0.99, epsilon: 1.0e-5,"
    ema += " reset_below: 0.0, weighting: sums, initialisation: uniform}"
    train(
        load_recipe("zerospeech2019", (*SMALL, *short, *tiny, ema)),
        stores["paper-mel"],
        folder / "runs" / "vq-ema",
        **quiet,
    )
    residual = folder / "runs" / "residual"
    train(load_recipe("speech16k", RESIDUAL), stores["log-mel"], residual, **quiet)
    smaller = ("vocoder.dim=8", "vocoder.hidden=8", "vocoder.layers=1", "vocoder.lookahead=4", "vocoder.train.steps=4")
    for name, size in (("istft", ISTFT), ("world", WORLD)):
        train_vocoder(
            load_recipe(name, (*size, *smaller)), stores["log-mel"], folder / "runs" / name / "vocoder", **quiet
        )
    tuning = FineTuning(model=residual / "model.safetensors", start=folder / "runs" / "istft" / "vocoder")
    tuned = load_recipe("istft", (*ISTFT, *smaller))
    train_vocoder(tuned, stores["log-mel"], residual / "vocoder-on-codec", tuning=tuning, **quiet)
    for path in [*folder.rglob("tensorboard"), *folder.rglob("a"), *folder.rglob("b")]:
        shutil.rmtree(path)
    for path in folder.rglob("*.png"):
        path.unlink()


def write_formats(folder: Path) -> None:
    """Model files as releases before this one wrote them: the header's recipe without what was added since."""
    folder.mkdir()
    for name in ("gaussian", "residual"):
        source = folder.parent / "runs" / name / "model.safetensors"
        weights, header = load_file(source), read_header(source, KIND)
        header.pop("tables", None)
        weights = {key: value for key, value in weights.items() if not key.startswith("tables.")}
        recipe = header["recipe"]
        if name == "gaussian":  # 2: before recipes chose network, level and loudness
            del recipe["network"]["kind"], recipe["train"]["level"]
        else:
            del recipe["quantizer"]["ratio"], recipe["quantizer"]["warmup_steps"], recipe["quantizer"]["freeze_step"]
        if name == "gaussian":
            del recipe["target"]["loudness"], recipe["target"]["variance"]
            write_model(folder / "2.safetensors", weights, {**header, "format": 2})
            del recipe["target"]  # 1: before recipes had a target
            write_model(folder / "1.safetensors", weights, {**header, "format": 1})


def write_model(path: Path, weights: dict[str, torch.Tensor], header: dict[str, object]) -> None:
    path.write_bytes(save(weights, metadata={"sqcodec": json.dumps(header)}))


def write_codes(folder: Path) -> None:
    """Codes of ten recordings at the four rates in turn, and what they decode to here."""
    folder.mkdir()
    codec = sqcodec.load(resolve("speech16k"), device="cpu")
    sounds = []
    for number, path in enumerate(recordings()):
        samples, rate = soundfile.read(path, dtype="float32")
        books = RATES[number % len(RATES)] // 400
        codes = codec.encode(samples, sample_rate=rate, codebooks=books)
        (folder / f"{number}.sqc").write_bytes(codec.pack(codes))
        (folder / f"{number}.npy").write_bytes(npy.pack(codes))
        decoded = codec.decode(codes)
        sounds.append({"codes": digest(codes.indices), "sound": digest(decoded), "levels": levels(decoded)})
    (folder / "decoded.json").write_text(json.dumps({"machine": machine(), "sounds": sounds}, indent=1) + "\n", "utf-8")


def recordings() -> list[Path]:
    """Ten recordings of the speech that comes with sqcodec."""
    return sorted(SPEECH.rglob("*.flac"))[::2][:10]


def digest(array: NDArray[np.generic]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def levels(samples: NDArray[np.float32]) -> list[float]:
    """dB of full scale of each tenth of a second, -80 at least."""
    whole = samples[: len(samples) // 1600 * 1600].astype(np.float64).reshape(-1, 1600)
    return [round(float(each), 2) for each in 10 * np.log10((whole**2).mean(1) + 1e-8)]


def machine() -> str:
    """What decides the last digit of a float: the release of torch, its threads, and the processor."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    known = dict(line.partition("\t")[::2] for line in lines)
    named = (known.get(key, "").strip(" \t:") for key in ("vendor_id", "cpu family", "model", "stepping"))
    return f"torch {torch.__version__}, {torch.get_num_threads()} thread(s), processor {' '.join(named)}"


if __name__ == "__main__":
    main()
