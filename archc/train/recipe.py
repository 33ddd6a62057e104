"""A recipe: all that decides how a net is trained, but for the net, the data and the seed."""

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from archc.train.data import Augmentation
from archc.train.schedule import AnySchedule, Cosine

Count = Annotated[int, Meta(ge=1, le=2**31)]
Weight = Annotated[float, Meta(ge=0, le=1e6)]
Value = bool | int | float | str


class Claim(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a paper says of a net trained by its recipe: the top-1 error in percent.

    `settings` are parameters of the net, `of` says what was measured if it is not just that net,
    `source` where the number stands.
    """

    net: str
    data: str
    error: float
    source: str
    settings: dict[str, Value] = field(default_factory=dict)
    of: str = ""


class Sparsity(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The term `strength` * sum |gamma| over scales of batch norms (Liu et al., 2017, equation 1).

    `scales` is a pattern for the names of the layers: `*` stands for any characters.
    """

    strength: Weight
    scales: str = "*"


class Recipe(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a net is trained. The defaults are those of `recipes/default.yaml`."""

    about: str = ""
    claims: tuple[Claim, ...] = ()
    epochs: Count = 20
    batch_size: Count = 64
    """Images a step, of all processes together."""
    accumulate: Count = 1
    """Parts of a step that run one after the other, to use less memory."""
    optimizer: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "SGD",
            "lr": 0.1,
            "momentum": 0.9,
            "nesterov": True,
            "weight_decay": 5e-4,
        }
    )
    """`name`, a class of `torch.optim`, `lr`, and others of its arguments."""
    schedule: AnySchedule = Cosine()
    augmentation: Augmentation = Augmentation()
    exit_weights: tuple[Weight, ...] = ()
    """Of the losses of the net's exits, in their order; all 1 by default."""
    sparsity: Sparsity | None = None
    scale_init: Annotated[float, Meta(gt=0, le=100)] | None = None
    """What scales of batch norms are at first; by default as the net has it, which is 1."""
    clip_norm: Annotated[float, Meta(gt=0)] | None = None
    """The largest norm of all gradients together (Pascanu et al., 2013)."""
    ema: Annotated[float, Meta(gt=0, lt=1)] | None = None
    """The decay of a moving average of weights and statistics, which is tested and kept, too."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """The type that matrix products and convolutions compute in."""
    channels_last: bool = False
    compile: bool = False
    """Each block that contains no other one is compiled by `torch.compile`."""
    sync_batchnorm: bool = False
    """Batch norms take the statistics of all processes together (GPUs only)."""
