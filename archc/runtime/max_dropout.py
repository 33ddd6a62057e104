"""MaxDropout: what is most active is left out."""

from torch import Tensor


def max_dropout(x: Tensor, rate: float, training: bool) -> Tensor:
    """Training sets the most active elements of a mini-batch to zero: those above `1 - rate` of the
    way from its least to its greatest (Santos et al., 2007.13723, as their code has it).
    """
    if not training:
        return x
    least, greatest = x.detach().aminmax()
    return x * (x.detach() - least <= (1 - rate) * (greatest - least)).to(x.dtype)
