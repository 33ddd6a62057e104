"""Exporting without what torch and others say to themselves of the parts that they are made of."""

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager


@contextmanager
def quietly() -> Iterator[None]:
    """Show no warning: what goes wrong is raised, or seen in the results."""
    loggers = {logging.getLogger(name): logging.CRITICAL for name in ("torch.onnx", "onnxscript")}
    levels = {logger: logger.level for logger in loggers}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _set_levels(loggers)
            yield
        finally:
            _set_levels(levels)


def _set_levels(levels: Mapping[logging.Logger, int]) -> None:
    for logger, level in levels.items():
        logger.setLevel(level)
