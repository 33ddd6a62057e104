"""The version of archc, which emitted files name."""

__version__ = "0.1.0"
