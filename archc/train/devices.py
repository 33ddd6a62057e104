"""Where a training runs: devices, processes and number types, by Lightning Fabric."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

import torch
from lightning_fabric import Fabric
from lightning_fabric.strategies.ddp import DDPStrategy

from archc.diagnostics import did_you_mean, error

DEVICES = ("auto", "cpu", "cuda")
STRATEGIES = ("auto", "ddp", "fsdp")

TIMEOUT = timedelta(minutes=5)
"""How long a process waits for the others."""

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]
PRECISIONS: dict[str, Precision] = {"fp32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}


@dataclass(frozen=True)
class Machine:
    """The devices of a training: how many, of which kind, on how many machines (`nodes`).

    Under torchrun its processes are taken, and `devices` and `nodes` do not matter. `threads` is
    what each process computes with on a CPU. Raises ArchError for what there is not.
    """

    device: str = "auto"
    devices: int = 1
    nodes: int = 1
    threads: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        for name, value, known in (
            ("device", self.device, DEVICES),
            ("strategy", self.strategy, STRATEGIES),
        ):
            if value not in known:
                help = did_you_mean(value, known) or ", ".join(known)
                raise error("E1003", f"there is no {name} `{value}`", help=help)
        for name, number in (
            ("device", self.devices),
            ("node", self.nodes),
            ("thread", self.threads),
        ):
            if number < 1:
                raise error("E1003", f"there must be at least 1 {name}, not {number}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise error("E1003", "torch finds no CUDA device", help="--device cpu")
        if self.strategy == "fsdp":
            raise error(
                "E1003",
                "FSDP cannot be used: a dense block computes with the weights of all its layers at "
                "once, which FSDP would gather one layer at a time",
                help="`--strategy ddp`; `archc plan` shows what a step keeps",
            )

    @property
    def kind(self) -> Literal["cpu", "cuda"]:
        return "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"

    @property
    def shape(self) -> tuple[int, int]:
        """How many devices on how many machines."""
        if not torch.distributed.is_torchelastic_launched():
            return self.devices, self.nodes
        local = int(os.environ["LOCAL_WORLD_SIZE"])
        return local, int(os.environ["WORLD_SIZE"]) // local

    @property
    def processes(self) -> int:
        """One for each device of each machine."""
        devices, nodes = self.shape
        return devices * nodes

    def fabric(self, precision: str) -> Fabric:
        """The processes, started; each of them comes here."""
        devices, nodes = self.shape
        several = self.processes > 1
        try:
            fabric = Fabric(
                accelerator=self.kind,
                devices=devices,
                num_nodes=nodes,
                strategy=DDPStrategy(timeout=TIMEOUT) if several else "auto",
                precision=PRECISIONS[precision],
            )
            fabric.launch()
        except (RuntimeError, ValueError) as problem:
            first = str(problem).strip().partition("\n")[0]
            raise error("E1003", f"the processes cannot be started: {first}") from None
        return fabric


def is_first() -> bool:
    """Whether this is the first process of all, before they are started, too."""
    return {os.environ.get(name, "0") for name in ("RANK", "LOCAL_RANK")} == {"0"}


def leave_processes() -> None:
    """End the connections to the other processes, if there are any.

    Gloo's threads need the interpreter's lock to let go of the last tensors, and its destructor
    waits for them with the lock held: without the pause two of twelve trainings never ended.
    """
    if torch.distributed.is_initialized():
        time.sleep(0.2)
        torch.distributed.destroy_process_group()


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch's setting for the whole process, put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
