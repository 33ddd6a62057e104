"""What the first process of a training writes into the run's folder; the others write nothing.

Weights come before the checkpoint that knows of them: what a crash leaves out, the steps after the
checkpoint before write again.
"""

from importlib.util import find_spec
from pathlib import Path
from shutil import rmtree
from typing import Any

from torch import Tensor, nn

from archc.train.checkpoint import write_checkpoint
from archc.train.curves import curves_svg
from archc.train.metrics import to_csv, to_jsonl
from archc.train.run import CONFIG, RunConfig, begin_run, save_weights
from archc.train.state import State
from archc.writing import write_atomically


class Record:
    """The folder of a run, from its first epoch on; until then it stays as it was.

    `source` is the text of `model.py`, `keep` how many checkpoints there are at most.
    """

    def __init__(
        self, folder: Path, config: RunConfig, source: str, *, keep: int, writes: bool
    ) -> None:
        self.folder, self.config, self.source = folder, config, source
        self.keep, self.writes = keep, writes
        self.begun = False
        self._board: Any = None

    def resume(self, state: State) -> None:
        """Go on in the folder: metrics of epochs that are to come again are cut off."""
        if self.writes:
            self._begin(anew=False)
            self._metrics(state)

    def epoch(self, state: State, *, is_best: bool) -> None:
        """Write the weights and what was measured."""
        if not self.writes:
            return
        self._begin()
        self._weights("model", state.net)
        if state.ema is not None:
            self._weights("ema", state.ema.module)
        if is_best:
            self._weights("best", state.net)
        self._metrics(state)
        self._to_board(state)

    def snapshot(self, net: nn.Module, cycle: int) -> None:
        """Write the weights at the end of a cycle, counted from 1."""
        if self.writes:
            self._begin()
            self._weights(f"snapshots/cycle-{cycle}", net)

    def checkpoint(self, state: State, all_scores: Tensor) -> None:
        if self.writes:
            self._begin()
            content = {"spec_sha256": self.config.spec_sha256, **state.content(all_scores)}
            write_checkpoint(self.folder, content, self.keep)

    def _begin(self, *, anew: bool = True) -> None:
        """Take the place of what a run before has left."""
        if self.begun:
            return
        self.begun = True
        if not anew:
            return
        (self.folder / CONFIG).unlink(missing_ok=True)
        for name in ("checkpoints", "snapshots", "tensorboard"):
            rmtree(self.folder / name, ignore_errors=True)
        for name in ("model", "best", "ema"):
            (self.folder / f"{name}.safetensors").unlink(missing_ok=True)
        begin_run(self.folder, self.config, self.source)

    def _weights(self, name: str, net: nn.Module) -> None:
        path = self.folder / f"{name}.safetensors"
        save_weights(path, net.state_dict(), self.config.spec_sha256)

    def _metrics(self, state: State) -> None:
        write_atomically(self.folder / "metrics.csv", to_csv(state.rows))
        write_atomically(self.folder / "metrics.jsonl", to_jsonl(state.rows))
        if state.rows:
            write_atomically(self.folder / "curves.svg", curves_svg(state.rows).encode())

    def _to_board(self, state: State) -> None:
        """The epoch's numbers for TensorBoard, where that is installed."""
        if find_spec("tensorboard") is None:
            return
        if self._board is None:
            from torch.utils.tensorboard import SummaryWriter

            made: Any = SummaryWriter
            self._board = made(str(self.folder / "tensorboard"), purge_step=state.step)
        for name, value in state.rows[-1].items():
            self._board.add_scalar(name, value, state.step)
        self._board.flush()
