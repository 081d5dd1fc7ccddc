"""The processes of a training: this one, or those that torchrun started, one device each."""

import os
from datetime import timedelta
from typing import NamedTuple

from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy
from torch import distributed

from sqcodec.errors import TrainingError
from sqcodec.pipeline.device import find_device
from sqcodec.recipe import Precision

_TIMEOUT = timedelta(hours=6)  # the other ranks wait while rank 0 evaluates or counts tables


class Processes(NamedTuple):
    """Processes of one training: on this machine, and on all of them."""

    here: int
    everywhere: int


def started_processes() -> Processes | None:
    """The processes that torchrun started; None without torchrun."""
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    return Processes(int(os.environ["LOCAL_WORLD_SIZE"]), int(os.environ["WORLD_SIZE"]))


def make_fabric(
    device: str, precision: Precision, *, processes: Processes | None = None, resting: bool = False
) -> Fabric:
    """A Fabric of this process on `device`, or of the processes that torchrun started, one device each.

    resting: some parameters have no gradient at times.

    Raises SqcodecError: there is no such device; TrainingError: several processes on one device by its number.
    """
    found = find_device(device)
    if not processes:
        return Fabric(
            accelerator=found.type, devices=[found.index or 0] if found.type == "cuda" else 1, precision=precision
        )
    if ":" in device:
        raise TrainingError(f"`device` {device}: torchrun gives each process its own GPU, expected auto, cpu or cuda")
    fabric = Fabric(
        accelerator=found.type,
        devices=processes.here,
        num_nodes=processes.everywhere // processes.here,
        # batch statistics are summed over ranks where they are computed
        strategy=DDPStrategy(broadcast_buffers=False, find_unused_parameters=resting, timeout=_TIMEOUT),
        precision=precision,
    )
    fabric.launch()
    return fabric


def part(fabric: Fabric) -> None:
    """Wait for all ranks, then destroy the group.

    A rank that leaves early makes gloo fail on the others, and torchrun then stops the job.
    """
    if fabric.world_size > 1:
        fabric.barrier()
        distributed.destroy_process_group()


def refuse_processes(stage: str) -> None:
    """Raises TrainingError: torchrun started several processes, and this stage runs in one."""
    if (processes := started_processes()) and processes.everywhere > 1:
        raise TrainingError(
            f"`stage` {stage} trains in one process, got {processes.everywhere} from torchrun;"
            " start it without torchrun"
        )
