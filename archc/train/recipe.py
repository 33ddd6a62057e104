"""How a net is trained: the numbers, their limits, and the learning rate that follows from them."""

import math
from dataclasses import dataclass

from archc.diagnostics import error


@dataclass(frozen=True)
class Recipe:
    """SGD with Nesterov momentum; `epochs` times over the data in batches of at most `batch_size`.

    Raises ArchError for numbers out of range.
    """

    epochs: int = 20
    batch_size: int = 64
    lr: float = 0.1
    seed: int = 0
    momentum: float = 0.9
    weight_decay: float = 5e-4

    def __post_init__(self) -> None:
        for name, value in (("epochs", self.epochs), ("batch size", self.batch_size)):
            if value < 1:
                raise error("E1003", f"the {name} must be at least 1, not {value}")
        if not 0 < self.lr < math.inf:
            raise error("E1003", f"the learning rate must be a number above 0, not {self.lr}")
        if not 0 <= self.seed < 2**63:
            raise error("E1003", f"the seed must be from 0 to 2**63 - 1, not {self.seed}")

    def rate(self, step: int, steps: int) -> float:
        """The learning rate of a step, counted from 0: half a cosine, from `lr` down to 0."""
        return self.lr / 2 * (1 + math.cos(math.pi * step / steps))
