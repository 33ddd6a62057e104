"""What a training has reached. A checkpoint holds this and nothing else."""

from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric.plugins import Precision
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from archc.train.metrics import EpochRow


@dataclass
class State:
    """Weights, statistics, momenta and so on after `step` steps, and what was measured.

    There are no random numbers in it: those of a step follow from the seed and the step. `scores`
    are this process's sums (`metrics`) of the epoch under way, `rows` the epochs before, `best` the
    largest accuracy of one.
    """

    net: nn.Module
    optimizer: torch.optim.Optimizer
    precision: Precision
    ema: AveragedModel | None
    scores: Tensor
    step: int = 0
    rows: list[EpochRow] = field(default_factory=list)
    best: float = -1.0

    def content(self, all_scores: Tensor) -> dict[str, Any]:
        """Tensors and plain values; `all_scores` [processes, n] are those of all processes."""
        return {
            "step": self.step,
            "net": self.net.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "precision": self.precision.state_dict(),
            "ema": None if self.ema is None else self.ema.state_dict(),
            "scores": all_scores,
            "rows": self.rows,
            "best": self.best,
        }

    def restore(self, content: dict[str, Any], rank: int, ranks: int) -> None:
        """Go back to what a checkpoint holds, in the process `rank` of `ranks`."""
        self.step, self.rows, self.best = content["step"], content["rows"], content["best"]
        self.net.load_state_dict(content["net"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.precision.load_state_dict(content["precision"])
        if self.ema is not None:
            self.ema.load_state_dict(content["ema"])
        scores = content["scores"]
        if len(scores) == ranks:
            self.scores.copy_(scores[rank])
        elif rank == 0:
            self.scores.copy_(scores.sum(0))
