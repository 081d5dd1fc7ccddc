"""Module names and methods of release 0.1.0 work on, with a warning."""

import importlib
import subprocess
import sys

import numpy as np
import pytest

import sqcodec
from sqcodec.former_names import MODULES
from tests.conftest import speech_like


def fresh(former: str):
    sys.modules.pop(f"sqcodec.{former}", None)
    return importlib.import_module(f"sqcodec.{former}")


@pytest.mark.parametrize("former", MODULES)
def test_a_former_module_has_the_names_of_the_present_ones(former: str) -> None:
    with pytest.warns(FutureWarning, match=rf"^sqcodec\.{former} is now sqcodec\.{MODULES[former][0]}"):
        module = fresh(former)
    present = importlib.import_module(f"sqcodec.{MODULES[former][0]}")
    defined = [name for name, value in vars(present).items() if getattr(value, "__module__", "") == present.__name__]
    name = next(iter(defined), "__doc__") if former != "pipeline.comparison" else "compare"
    assert getattr(module, name) is getattr(present, name)
    with pytest.raises(AttributeError, match=r"is now .*, where there is no 'nothing'"):
        _ = module.nothing


def test_no_present_module_has_a_former_name() -> None:
    """A former name that is taken anew would hide the module of today."""
    package = importlib.resources.files("sqcodec")
    for former in MODULES:
        parts = former.split(".")
        assert not package.joinpath(*parts[:-1], f"{parts[-1]}.py").is_file(), former


def test_a_module_that_became_a_package_has_its_names() -> None:
    with pytest.warns(FutureWarning, match=r"sqcodec\.pipeline\.coding\.open_codec is now"):
        from sqcodec.pipeline.coding import open_codec
    with pytest.warns(FutureWarning, match=r"sqcodec\.pipeline\.training\.train is now"):
        from sqcodec.pipeline.training import train
    assert open_codec is importlib.import_module("sqcodec.pipeline.coding.codec").open_codec
    assert train is importlib.import_module("sqcodec.pipeline.training.train_codec").train


def test_former_methods_of_a_codec(tiny_model) -> None:
    codec = sqcodec.load(tiny_model)
    with pytest.warns(FutureWarning, match=r"Codec\.voice is now Codec\.speaker_index"):
        assert codec.voice("p226") == codec.speaker_index("p226")
    sound = speech_like(16_000)
    with pytest.warns(FutureWarning, match=r"Codec\.encode_blocks is now Codec\.encode_recording"):
        codes = codec.encode_blocks(lambda: [sound], samples=lambda: 16_000, sample_rate=16_000, speaker="p226")
    assert np.array_equal(codes.indices, codec.encode(sound, 16000, speaker="p226").indices)


def test_present_names_give_no_warning() -> None:
    program = "import sqcodec, sqcodec.pipeline.coding.codec, sqcodec.spectrogram; sqcodec.Codec; sqcodec.Codes"
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning", "-c", program], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
