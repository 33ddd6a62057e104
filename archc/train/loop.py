"""The loop: a net, its recipe and its data, step by step, to the end or to a signal.

All that is random in a step follows from the seed and the step. So a checkpoint needs no random
numbers, and the steps after one are those that would have been without it.
"""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from archc.diagnostics import error
from archc.train.data import Batch, Dataset
from archc.train.data.dataset import Split
from archc.train.diagnosis import diverged
from archc.train.losses import add_sparsity, exits_of, loss_sum, scales_of
from archc.train.metrics import EpochRow, Score, add_scores, columns_of, no_scores, score_of
from archc.train.optimizer import make_optimizer, set_rate
from archc.train.progress import Progress
from archc.train.record import Record
from archc.train.run import RunConfig, adapt
from archc.train.state import State
from archc.train.stopping import Stop

EVALUATION_BATCH = 512
"""Images at a time where nothing is kept for a backward pass."""


class Loop:
    """A training in one of `fabric.world_size` equal processes."""

    def __init__(
        self, fabric: Fabric, config: RunConfig, data: Dataset, net: nn.Module, record: Record
    ) -> None:
        self.fabric, self.config, self.data, self.record = fabric, config, data, record
        self.recipe = recipe = config.recipe
        self.batches = data.steps(recipe.batch_size)
        optimizer = make_optimizer(recipe.optimizer, net.parameters())
        # The net as a whole goes through `model`: its precision, and what DDP adds to it.
        self.model, self.optimizer = fabric.setup(net, optimizer)
        self.scales = scales_of(net, recipe.sparsity)
        self.state = State(
            net=net,
            optimizer=optimizer,
            precision=fabric.strategy.precision,
            ema=_average(net, recipe.ema),
            scores=no_scores(len(config.exits), fabric.device),
        )
        self.cycle_ends = recipe.schedule.cycle_ends(recipe.epochs, self.batches)
        self.draw_gates: Callable[[int, int], None] | None = getattr(net, "draw_gates", None)
        """Where the net has stochastic depth: it skips the same branches in all processes."""
        self.loss = math.nan

    # ------------------------------------------------------------------ epochs

    def run(self, stop: Stop, progress: Progress, every: int) -> None:
        """Train from where the state is; save after each epoch, and after each `every` steps."""
        for epoch in range(self.state.step // self.batches, self.recipe.epochs):
            start = time.monotonic(), self.state.step
            for batch in self._rest_of(epoch):
                lr = self.step(batch)
                progress.step(self.loss, lr)
                if self.state.step % self.batches == 0:
                    continue  # what follows belongs behind the test
                stopped = self._any(stop.signal is not None)
                if stopped or (every and self.state.step % every == 0):
                    self._checkpoint()
                if stopped:
                    return
            self._finish(epoch, *start, lr)
            progress.epoch(epoch + 1, self.state.rows[-1])
            if self._any(stop.signal is not None):
                return

    def _rest_of(self, epoch: int) -> Iterator[Batch]:
        """This process's share of the batches of an epoch that are still to come."""
        return self.data.epoch(
            epoch,
            batch_size=self.recipe.batch_size,
            seed=self.config.seed,
            augmentation=self.recipe.augmentation,
            rank=self.fabric.global_rank,
            ranks=self.fabric.world_size,
            first=self.state.step % self.batches,
        )

    def _finish(self, epoch: int, since: float, first: int, lr: float) -> None:
        """Test, and write what the epoch has brought."""
        state, seconds = self.state, time.monotonic() - since
        images = len(self.data.train.labels) * (state.step - first) / self.batches
        row: EpochRow = {"epoch": epoch + 1, "step": state.step, "lr": lr}
        row |= columns_of("train", self._total(state.scores), self.config.exits)
        self._share_statistics()
        for name, split in (("val", self.data.val), ("test", self.data.test)):
            if split is not None:
                row |= columns_of(name, self.test(state.net, split), self.config.exits)
        if state.ema is not None:
            row |= columns_of("ema", self.test(state.ema.module, self.data.test), self.config.exits)
        row |= {"seconds": seconds, "images_per_second": images / seconds}
        state.scores.zero_()
        state.rows.append(row)
        accuracy = row["test_accuracy" if self.data.val is None else "val_accuracy"]
        is_best = accuracy > state.best
        state.best = max(accuracy, state.best)
        self.record.epoch(state, is_best=is_best)
        self._checkpoint()

    # ------------------------------------------------------------------- steps

    def step(self, batch: Batch) -> float:
        """One step of the optimizer; gives its learning rate."""
        state, recipe = self.state, self.recipe
        torch.manual_seed(_seed(self.config.seed, state.step, self.fabric.global_rank))
        if self.draw_gates is not None:
            self.draw_gates(self.config.seed, state.step)
        factor = recipe.schedule.factor(state.step, recipe.epochs, self.batches)
        lr = set_rate(state.optimizer, factor)
        state.net.train()
        state.optimizer.zero_grad()
        self.loss = self._backward(batch)
        if recipe.clip_norm is not None or self.scales:
            state.precision.unscale_gradients(state.optimizer)
        if recipe.clip_norm is not None:
            nn.utils.clip_grad_norm_(state.net.parameters(), recipe.clip_norm)
        if recipe.sparsity is not None:
            add_sparsity(self.scales, recipe.sparsity.strength)
        self.optimizer.step()
        if state.ema is not None:
            state.ema.update_parameters(state.net)
        state.step += 1
        if state.step in self.cycle_ends:
            self.record.snapshot(state.net, 1 + self.cycle_ends.index(state.step))
        return lr

    def _backward(self, batch: Batch) -> float:
        """Gradients of the mean loss over the whole batch, of which this is a process's share.

        Gives the mean loss over the share. Raises ArchError if it is not finite.
        """
        parts = self.recipe.accumulate
        images, labels, targets = (
            each.tensor_split(parts) for each in (batch.images, batch.labels, batch.targets)
        )
        # DDP divides by the number of processes.
        scale = self.fabric.world_size / self._images(self.state.step % self.batches)
        total = torch.zeros((), device=self.fabric.device)
        for part in range(parts):
            with self.fabric.no_backward_sync(self.model, enabled=part < parts - 1):
                outputs = exits_of(self.model(self._adapted(images[part])))
                loss = loss_sum(outputs, targets[part], self.recipe.exit_weights)
                self.fabric.backward(loss * scale)
            total += loss.detach()
            add_scores(self.state.scores, loss, outputs, labels[part])
        mean = float(total) / len(batch.labels)
        if not math.isfinite(mean):
            epoch, index = divmod(self.state.step, self.batches)
            rate = self.recipe.optimizer["lr"]
            raise diverged(
                mean, epoch + 1, index + 1, rate, self.state.net, self._adapted(images[0])
            )
        return mean

    def _images(self, index: int) -> int:
        """How many images the `index`-th batch of an epoch has, of all processes together."""
        count, more = divmod(len(self.data.train.labels), self.batches)
        return count + (index < more)

    def _adapted(self, images: Tensor) -> Tensor:
        images = adapt(images, self.config.channels, self.config.size)
        if self.recipe.channels_last:
            return images.contiguous(memory_format=torch.channels_last)
        return images

    # ----------------------------------------------------------------- testing

    @torch.no_grad()
    def test(self, net: nn.Module, split: Split) -> Score:
        """Losses and accuracies of a net on images as they are."""
        net.eval()
        sums = no_scores(len(self.config.exits), self.fabric.device)
        ranks = self.fabric.global_rank, self.fabric.world_size
        for batch in self.data.batches(split, EVALUATION_BATCH, *ranks):
            images = self.state.precision.convert_input(self._adapted(batch.images))
            with self.fabric.autocast():
                outputs = [each.float() for each in exits_of(net(images))]
            loss = loss_sum(outputs, batch.labels, self.recipe.exit_weights)
            add_scores(sums, loss, outputs, batch.labels)
        return self._total(sums)

    # --------------------------------------------------------------- processes

    def _total(self, sums: Tensor) -> Score:
        return score_of(self._gathered(sums).sum(0))

    def _gathered(self, sums: Tensor) -> Tensor:
        """Those of all processes, [processes, n]."""
        gathered = self.fabric.all_gather(sums)
        assert isinstance(gathered, Tensor)
        return gathered.reshape(self.fabric.world_size, -1)

    def _share_statistics(self) -> None:
        """Give all processes the statistics of the first one, which are those that are saved."""
        if self.fabric.world_size == 1:
            return
        for module in (self.state.net, self.state.ema):
            for buffer in () if module is None else module.buffers():
                torch.distributed.broadcast(buffer, 0)

    def _any(self, flag: bool) -> bool:
        """Whether it is set in any process: all of them get the same answer."""
        if self.fabric.world_size == 1:
            return flag
        flags = torch.tensor([float(flag)], device=self.fabric.device)
        return bool(self._gathered(flags).any())

    def _checkpoint(self) -> None:
        scores = self._gathered(self.state.scores).cpu()
        self.record.checkpoint(self.state, scores)


def _average(net: nn.Module, decay: float | None) -> AveragedModel | None:
    """A moving average of a net's weights and statistics."""
    if decay is None:
        return None
    moving_average: Any = get_ema_multi_avg_fn
    return AveragedModel(net, multi_avg_fn=moving_average(decay), use_buffers=True)


def _seed(seed: int, step: int, rank: int) -> int:
    """Of torch's random numbers in a step, from 0 to 2**63 - 1."""
    (drawn,) = np.random.SeedSequence((seed, step, rank)).generate_state(1, np.uint64)
    return int(drawn) >> 1


@contextmanager
def other_processes(ranks: int) -> Iterator[None]:
    """Turn what torch raises when another process is gone into an ArchError."""
    try:
        yield
    except RuntimeError as problem:
        said = str(problem).strip().partition("\n")[0]
        lost = isinstance(problem, torch.distributed.DistError) or "gloo" in said.lower()
        if ranks == 1 or not lost:
            raise
        raise error(
            "E1008",
            f"another of the {ranks} processes of this training is gone: {said}",
            help="the checkpoints are whole: the same command with `--resume auto` goes on",
        ) from None
