"""A store as a codec returns it: what the codec must know of it."""

from pathlib import Path

import pytest
import torch

from sqcodec.corpus.store import open_store
from sqcodec.errors import TrainingError
from sqcodec.pipeline.training.coded_store import coded_store
from tests.conftest import make_model
from tests.train.conftest import make_store


def test_a_split_of_strangers_cannot_be_evaluated(tmp_path: Path) -> None:
    store, model, folder = open_store(make_store(tmp_path / "corpus")), tmp_path / "model.safetensors", tmp_path / "out"
    make_model(model, speakers=("s0",))  # speaks in the training split alone
    with pytest.raises(TrainingError) as caught:
        coded_store(store, model, folder, torch.device("cpu"), evaluate_split="test")
    assert str(caught.value) == (
        f"{model}: knows no speaker of the store's split 'test'; set vocoder.train.evaluate_split to one whose speakers"
        " it knows (train)"
    )
    assert not folder.exists()
    coded, _ = coded_store(store, model, folder, torch.device("cpu"), evaluate_split="train")
    assert coded.splits.keys() == {"train"}
    assert {row.speaker for row in coded.splits["train"].rows} == {"s0"}
