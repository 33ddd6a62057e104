"""Stochastic depth: a residual branch that training sometimes leaves out."""

import torch
from torch import Tensor


def drop_path(x: Tensor, survival: float, training: bool, mode: str = "paper") -> Tensor:
    """Scale the end of a residual branch of any shape, which survives with probability `survival`
    (stochastic depth; Huang et al., 1603.09382).

    Training multiplies it by 1 with this probability, else by 0, with one draw for the whole
    mini-batch; evaluation multiplies it by `survival`, its expected share. If `inverted`, training
    divides by `survival`, and evaluation changes nothing; by `sample` each sample has its own draw.
    """
    if survival == 1:
        return x
    if not training:
        return x * survival if mode == "paper" else x
    shape = (x.shape[0], *(1,) * (x.dim() - 1)) if mode == "sample" else ()
    gate = (torch.rand(shape, device=x.device) < survival).to(x.dtype)
    return x * (gate if mode == "paper" else gate / survival)
