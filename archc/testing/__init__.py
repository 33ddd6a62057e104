"""For tests of passes and of what is built on archc: specs drawn by hypothesis.

Needs hypothesis: `pip install 'archc-compiler[testing]'`.
"""

from archc.testing.spec import Spec, specs

__all__ = ["Spec", "specs"]
