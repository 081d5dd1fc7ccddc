"""A quantiser without parameters is trained, evaluated and counted as the others are."""

import pytest
import torch

from sqcodec.model.model_file import load_model
from sqcodec.model.model_header import read_header
from sqcodec.pipeline.finding.code_spaces import read_space
from sqcodec.pipeline.training.train_codec import train
from sqcodec.recipe import load_recipe
from sqcodec.train.log import read_log
from tests.train.conftest import SMALL


@pytest.mark.slow
def test_fsq_trains_and_its_codes_are_counted(store, tmp_path):
    recipe = load_recipe(
        "zerospeech2019", (*SMALL, "train.steps=150", "train.log_every=10", "quantizer={kind: fsq, levels: [4, 3]}")
    )
    train(recipe, store, tmp_path / "run", device="cpu", resume=False, report=lambda entry: None)
    entries = read_log(tmp_path / "run" / "log.jsonl")
    losses = [entry["loss"] for entry in entries if "loss" in entry]
    assert losses[-1] < losses[0] - 50
    assert 1 < entries[-1]["test_perplexity"] <= 12
    path = tmp_path / "run" / "model.safetensors"
    assert read_header(path).codewords == (12,)
    tables = read_space(path).tables
    assert tables is not None
    assert tables.codewords == (12,)
    codec = load_model(path)
    assert codec.encode(torch.zeros(1, 80, 10)).max() < 12
