"""The device of a training, and the processes that torchrun starts for it.

Several processes train data-parallel: each learns other batches, and `DistributedDataParallel`
averages their gradients
(https://docs.pytorch.org/docs/stable/notes/ddp.html).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, distributed
from torch.nn.parallel import DistributedDataParallel

from hello_train.errors import TeamError
from hello_train.network.model import Network
from hello_train.words import count


@dataclass(frozen=True)
class Team:
    """The processes of one training, seen from one of them.

    Rank and size are those of PyTorch's process group.
    """

    device: torch.device
    rank: int = 0
    """The number of this process, counted from 0."""
    size: int = 1
    """The number of processes."""

    @property
    def leads(self) -> bool:
        """Whether this process evaluates, saves and prints."""
        return self.rank == 0

    def join(self, network: Network) -> Callable[..., Tensor]:
        """Return the network's forward pass with gradients averaged over all processes."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def agree(self, value: float) -> float:
        """Return the value of the leading process.

        This synchronizes the processes, so all must call it equally often.
        """
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return float(shared.item())

    def all_have(self, value: object) -> bool:
        """Return whether all processes have this value; this synchronizes them."""
        if self.size == 1:
            return True
        values: list[object] = [None] * self.size
        distributed.all_gather_object(values, value)
        return all(other == value for other in values)


ALONE = Team(torch.device("cpu"))
"""A single process on the CPU."""


@contextmanager
def team() -> Iterator[Team]:
    """Join the processes of torchrun, if there are any; use a GPU if there is one.

    Raises:
        TeamError: torchrun did not start them, or there are fewer GPUs than processes.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Team(best_device(0))
        return
    if "LOCAL_RANK" not in os.environ:
        raise TeamError(
            "WORLD_SIZE is set and LOCAL_RANK is not; start several processes with torchrun, or "
            "unset WORLD_SIZE"
        )
    device = best_device(int(os.environ["LOCAL_RANK"]))
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Team(device, distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()


def best_device(local_rank: int) -> torch.device:
    """Return the GPU of this process, CUDA's or Apple's, or the CPU where there is none.

    TF32 is turned off on CUDA, so that the scored outputs equal the decoded ones.

    Raises:
        TeamError: there are GPUs, but none for this process.
    """
    if torch.cuda.is_available():
        gpus = torch.cuda.device_count()
        if local_rank >= gpus:
            raise TeamError(
                f"each process needs a GPU of its own, and {count(gpus, 'GPU')} can be used here; "
                f"use --nproc-per-node {gpus}, or hide them with CUDA_VISIBLE_DEVICES= to train on "
                f"the CPU"
            )
        torch.cuda.set_device(local_rank)
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", local_rank)
    if torch.backends.mps.is_available() and "WORLD_SIZE" not in os.environ:
        return torch.device("mps")
    return torch.device("cpu")
