"""Files of safetensors: what they have to say of their tensors, and whether that is still so."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from archc.train.packed import unpacked


def weights_file(weights: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """A state_dict as safetensors, with the SHA-256 of its tensors: the format itself takes
    flipped bits for numbers."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in weights.items()}
    return safetensors.torch.save(tensors, {**metadata, "sha256": _digest(tensors)})


def read_weights(file: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state_dict in a file, whose binary weights are unpacked, and the metadata.

    Raises OSError where there is no such file, and SafetensorError for what is none, and for one
    whose tensors do not have the SHA-256 that it names.
    """
    with safetensors.safe_open(file, "pt") as content:
        metadata = content.metadata() or {}
        state = {key: content.get_tensor(key) for key in content.keys()}  # noqa: SIM118
    if metadata.get("sha256", digest := _digest(state)) != digest:
        raise safetensors.SafetensorError("its SHA-256 is not that of its weights")
    return unpacked(state, metadata), metadata


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """The hash of names, types, shapes and bytes."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
