"""Names of devices."""

import pytest
import torch

from sqcodec.errors import SqcodecError
from sqcodec.pipeline.device import find_device


def test_cpu_is_available():
    assert find_device("cpu") == torch.device("cpu")
    assert find_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "cpu:x", "", "mps"])
def test_other_names_are_refused(name):
    with pytest.raises(SqcodecError) as caught:
        find_device(name)
    assert str(caught.value) == f"device {name!r}: expected auto, cpu, cuda or cuda:N"


def test_a_missing_device_is_refused():
    with pytest.raises(SqcodecError) as caught:
        find_device("cuda:99")
    count = torch.cuda.device_count()
    assert str(caught.value) == f"device 'cuda:99': this machine has {count} CUDA device(s); use `device` cpu"
