"""Several processes, each with a GPU, that train one model (`torchrun` starts them).

Only the adapters learn: 37 million numbers of 8 billion. So every process has all of them and
their optimiser, computes the gradients of its own micro-batches, and one all-reduce of 150 MB adds
them up; all then take the same step. What is large is frozen, and either every process has it, or
it is `shard`ed: each holds a part of every layer and gathers the rest while the layer computes.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from engines.llada import LLaDA
from engines.shapes import LLaDAConfig
from engines.training.loop import Device, choose

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others."""


class ProcessesError(ValueError):
    """Processes that cannot work together; the message says what to change."""


@dataclass(frozen=True, slots=True)
class Team:
    """One process among those that train."""

    rank: int
    size: int
    device: torch.device

    @property
    def leads(self) -> bool:
        """Whether this is the process that writes files and shows progress."""
        return self.rank == 0

    def add_up(self, parameters: Sequence[nn.Parameter], numbers: Tensor) -> Tensor:
        """Add gradients over all processes, in place, and `numbers` [n], which are returned."""
        if self.size == 1:
            return numbers
        gradients = [each.grad for each in parameters if each.grad is not None]
        parts = [*gradients, numbers.float()]
        flat = torch.cat([part.flatten() for part in parts])
        distributed.all_reduce(flat)
        *added, numbers = flat.split([part.numel() for part in parts])
        for gradient, total in zip(gradients, added, strict=True):
            gradient.copy_(total.view_as(gradient))
        return numbers

    def check_same(self, number: int, what: str) -> None:
        """Raise `ProcessesError` unless all processes have the same `number`."""
        if self.size == 1:
            return
        mine = torch.tensor([number, -number], device=self.device)
        distributed.all_reduce(mine, distributed.ReduceOp.MAX)
        if mine[0] != -mine[1]:
            raise ProcessesError(f"the processes have different {what}; give all of them the same")

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            distributed.barrier()


@contextmanager
def team(device: Device = "auto") -> Iterator[Team]:
    """Join the processes that `torchrun` started, or be alone; raises `ProcessesError`.

    `auto` takes the GPU of this process's number, or the CPU where there is none.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "auto":
        device = choose(device)
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise ProcessesError(
                f"process {local} has no GPU, there are {torch.cuda.device_count()}; "
                "start fewer processes or use --device cpu"
            )
        torch.cuda.set_device(local)
    place = torch.device(device, local) if device == "cuda" else torch.device("cpu")
    if size == 1:
        yield Team(0, 1, place)
        return
    distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield Team(distributed.get_rank(), size, place)
    finally:
        distributed.destroy_process_group()


def shard(lm: LLaDA, members: Team) -> None:
    """Leave to each process its part of every layer; embedding and head stay whole."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(members.device.type, (members.size,))
    for block in lm.blocks:
        fully_shard(block, mesh=mesh)
    outside = lm.model.transformer
    whole = {*outside.wte.parameters(), *outside.ff_out.parameters(), *outside.ln_f.parameters()}
    # the outermost one orders when the layers are gathered
    fully_shard(lm, mesh=mesh, ignored_params=whole)
    for part in (outside.wte, outside.ff_out, outside.ln_f):
        part.to(members.device)


def parameters_held(lm: LLaDAConfig, members: Team) -> int:
    """How many numbers of the language model this process keeps when it is sharded."""
    table = 2 * lm.d_model * lm.embedding_size
    return table + (lm.parameters - table) // members.size
