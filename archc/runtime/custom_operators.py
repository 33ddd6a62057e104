"""Functions as operators of torch with gradients, so that torch.compile takes each as one node."""

import hashlib
import linecache
import uuid
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def register_operator(
    name: str,
    schema: str,
    function: Callable[..., Any],
    fake: Callable[..., Any],
    backward: Callable[..., Any],
    setup: Callable[..., Any] | None = None,
) -> Any:
    """The operator that runs `function`; `fake` gives empty tensors like its results.

    It lives in a namespace that ends in a hash of this file, so that two files with other texts
    never get each other's operators; and it is registered only if it is not yet there. A text that
    is run without a file has a namespace of its own each time. `backward` and `setup` are its
    gradients, as torch's `register_autograd` wants them.
    """
    file = register_operator.__code__.co_filename
    linecache.checkcache(file)
    text = "".join(linecache.getlines(file, globals())) or uuid.uuid4().hex
    namespace = "archc_" + hashlib.sha256(text.encode()).hexdigest()[:16]
    operators = getattr(torch.ops, namespace)
    if not hasattr(operators, name):
        operator = torch.library.custom_op(
            f"{namespace}::{name}", function, mutates_args=(), schema=schema
        )
        operator.register_fake(fake)
        operator.register_autograd(backward, setup_context=setup)
    return getattr(operators, name)


def refuse_twice(*_: Any) -> None:
    """The gradient of what computes a gradient."""
    raise RuntimeError(
        "what shares its storage for backward cannot be differentiated twice: "
        'build the net with memory="off"'
    )


def check_gradients(grad: Tensor) -> None:
    """Raise RuntimeError where a gradient is asked for that what shares its storage cannot give."""
    if torch.is_grad_enabled():
        refuse_twice()
    try:
        grad.untyped_storage()
    except NotImplementedError:  # a batch of gradients, which has no memory that could be shared
        raise RuntimeError(
            "what shares its storage for backward gives one gradient at a time, none in batches: "
            'build the net with memory="off"'
        ) from None
