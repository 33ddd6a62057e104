"""For tests of passes and of what is built on archc: specs and graphs drawn by hypothesis.

Needs `pip install 'archc-compiler[testing]'`: hypothesis, and torch for `check_pass`.
"""

from archc.testing.check import check_pass, graph_of, graphs
from archc.testing.spec import Spec, specs

__all__ = ["Spec", "check_pass", "graph_of", "graphs", "specs"]
