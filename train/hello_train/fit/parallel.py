"""Where a training runs: on which device, alone or as one of the processes that torchrun starts.

Data-parallel training is PyTorch's own: each process learns other batches, and
`DistributedDataParallel` makes the gradients of all their mean
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


@dataclass(frozen=True)
class Team:
    """The processes of one training, as one of them sees it."""

    device: torch.device
    rank: int = 0
    """Which of them this is, counted from 0."""
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the process that judges, saves and speaks."""
        return self.rank == 0

    def join(self, network: Network) -> Callable[[Tensor], Tensor]:
        """Return the network such that its gradients are the mean of all processes'."""
        return network if self.size == 1 else DistributedDataParallel(network)

    def agree(self, value: float) -> float:
        """Return the value that the leading process has.

        The processes wait here for each other, so all must come here equally often.
        """
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        distributed.broadcast(shared, src=0)
        return float(shared.item())

    def all_have(self, value: object) -> bool:
        """Tell whether every process has this value; they wait here for each other."""
        if self.size == 1:
            return True
        values: list[object] = [None] * self.size
        distributed.all_gather_object(values, value)
        return all(other == value for other in values)


ALONE = Team(torch.device("cpu"))
"""A training in a single process, on the CPU."""


@contextmanager
def team() -> Iterator[Team]:
    """Join the other processes of torchrun, if there are any; use a GPU where there is one.

    Raises:
        TeamError: they were not started by torchrun, or are more than there are GPUs.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
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
        yield Team(device, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()


def best_device(local_rank: int) -> torch.device:
    """Return the GPU of this process, CUDA's or Apple's, or the CPU where there is none.

    CUDA is kept to float32 where it would use TF32, so that what is scored is what will be decoded.

    Raises:
        TeamError: there are GPUs, but none for this process.
    """
    if torch.cuda.is_available():
        count = torch.cuda.device_count()
        if local_rank >= count:
            raise TeamError(
                f"{count} GPUs are here, one for a process; use --nproc-per-node {count}, or hide "
                f"them with CUDA_VISIBLE_DEVICES= to train on the CPU"
            )
        torch.cuda.set_device(local_rank)
        torch.backends.cudnn.allow_tf32 = False
        return torch.device("cuda", local_rank)
    if torch.backends.mps.is_available() and "WORLD_SIZE" not in os.environ:
        return torch.device("mps")
    return torch.device("cpu")
