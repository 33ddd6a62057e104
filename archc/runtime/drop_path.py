"""Stochastic depth: a residual branch that training sometimes leaves out."""

import torch
from torch import Tensor


def drop_path(branch: Tensor, survival: float, training: bool) -> Tensor:
    """Scale a residual branch of any shape as stochastic depth does (Huang et al., 1603.09382).

    Training multiplies it by 1 with probability `survival`, else by 0, with one draw for the whole
    mini-batch; evaluation multiplies it by `survival`, its expected share.
    """
    if survival == 1:
        return branch
    if not training:
        return branch * survival
    gate = torch.rand((), device=branch.device) < survival
    return branch * gate.to(branch.dtype)
