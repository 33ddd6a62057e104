"""Builds the parse table into the wheel, so that no start waits for it: archc/syntax/table.py."""

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TABLE = "archc/syntax/arch.table"


class ParseTable(BuildHookInterface[Any]):
    """Runs before a wheel is packed, an editable one too."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the table beside the parser, and have it packed although git ignores it."""
        del version
        sys.path.insert(0, self.root)
        try:
            from archc.syntax.table import write
        finally:
            sys.path.remove(self.root)
        write(Path(self.root) / TABLE)
        build_data["artifacts"].append(f"/{TABLE}")
