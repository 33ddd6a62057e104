"""`archc train`: a spec is compiled for a small data set and trained on it, in one process.

The run's folder has `run.yaml` and `model.py`, and after each epoch `model.safetensors` and
`metrics.csv`, each of them whole; an interruption leaves those of the last epoch that was finished.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from archc.compiler import Request
from archc.diagnostics import ArchError, Diagnostic, error
from archc.train.data import Augmentation, Dataset, Origin, load_data
from archc.train.extern_modules import try_externs
from archc.train.fit import Fitted, fit
from archc.train.metrics import Epoch, Score, to_csv
from archc.train.progress import Progress, say
from archc.train.recipe import Recipe
from archc.train.run import RunConfig, adapt, begin_run, make_config, save_weights
from archc.writing import write_atomically

AUGMENTATION = Augmentation(crop_padding=1)

EVALUATION_BATCH = 512
"""Images at a time where nothing is kept for a backward pass."""


@dataclass(frozen=True)
class Result:
    """Test accuracies after the last epoch, from 0 to 1: the net's, and each exit's by its name."""

    accuracy: float
    exits: Mapping[str, float]
    epochs: tuple[Epoch, ...]
    seconds: float
    folder: Path

    def report(self) -> str:
        """What goes to standard output: a line for each of several exits, and one for the net."""
        several = self.exits if len(self.exits) > 1 else {}
        lines = [f"test accuracy of {name}: {value:.2%}\n" for name, value in several.items()]
        return "".join([*lines, f"test accuracy: {self.accuracy:.2%}\n"])


def train(
    spec: str | Request,
    *,
    data: Origin,
    net: str | None = None,
    settings: Mapping[str, str] | None = None,
    epochs: int = Recipe.epochs,
    batch_size: int = Recipe.batch_size,
    lr: float = Recipe.lr,
    seed: int = Recipe.seed,
    out: Path,
    device: str = "auto",
    threads: int = 1,
    warn: Callable[[Iterable[Diagnostic]], object] | None = None,
) -> Result:
    """Compile a net for a data set and train it; the folder `out` is made, its files are replaced.

    `spec` is a path or the name of a shipped spec, `net` one of its nets, `settings` the net's
    parameters as texts of the language; or `spec` is a whole request, without those two. `device`
    is `auto`, `cpu` or `cuda`. Progress goes to stderr, the compiler's warnings to `warn`.

    On a CPU the same arguments give the same numbers, bit for bit, however many cores there are.
    `threads` is one of them: small images gain little from a second thread, and lose a lot where
    others use the machine. Raises ArchError if the net is wrong, if it cannot take the data, and
    when the loss is not finite.
    """
    recipe = Recipe(epochs, batch_size, lr, seed)
    if threads < 1:
        raise error("E1003", f"there must be at least 1 thread, not {threads}")
    place = _device(device)
    dataset = load_data(data)
    request = spec if isinstance(spec, Request) else Request(spec, net, settings or {})
    fitted = fit(request, dataset)
    if warn is not None:
        warn(fitted.model.warnings)
    config = make_config(request, fitted, data, recipe, seed, place)
    with _threads(threads):
        return _Training(fitted, dataset, config, place).into(out)


def _device(name: str) -> torch.device:
    if name not in ("auto", "cpu", "cuda"):
        raise error("E1003", f"there is no device `{name}`", help="auto, cpu or cuda")
    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise error("E1003", "torch finds no CUDA device", help="--device cpu")
    return torch.device("cuda" if name != "cpu" and found else "cpu")


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Torch's setting for the whole process, put back afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _by(size: Sequence[int]) -> str:
    return " x ".join(map(str, size))


class _Training:
    """A net on its way. All that is random comes from the recipe's seed."""

    def __init__(
        self, fitted: Fitted, data: Dataset, config: RunConfig, device: torch.device
    ) -> None:
        recipe = config.recipe
        torch.manual_seed(recipe.seed)
        self.fitted, self.data, self.recipe = fitted, data.to(device), recipe
        self.config = config
        self.net = fitted.model.build().to(device)
        sample = next(self.data.batches(self.data.train, 2)).images
        try_externs(fitted.model.graph, self.net, self._adapted(sample))
        self.optimizer = torch.optim.SGD(
            self.net.parameters(),
            recipe.lr,
            momentum=recipe.momentum,
            weight_decay=recipe.weight_decay,
            nesterov=True,
        )
        self.batches = data.steps(recipe.batch_size)
        self.steps = recipe.epochs * self.batches

    def into(self, folder: Path) -> Result:
        """Train to the end, saving after each epoch."""
        start = time.monotonic()
        epochs: list[Epoch] = []
        self._announce()
        with Progress(self.recipe.epochs, self.steps) as progress:
            for number in range(1, self.recipe.epochs + 1):
                train, test = self._train_epoch(number, progress), self._test()
                step = number * self.batches
                rate = self.recipe.rate(step - 1, self.steps)
                epochs.append(Epoch(number, step, rate, train, test))
                self._save(folder, epochs)
                progress.epoch(number, train.loss, test.accuracies[-1])
        seconds = time.monotonic() - start
        say(f"{seconds:.1f} s; model.py, model.safetensors and metrics.csv are in {folder}")
        exits = dict(zip(self.fitted.exits, test.accuracies, strict=True))
        return Result(test.accuracies[-1], exits, tuple(epochs), seconds, folder)

    def _announce(self) -> None:
        parameters = sum(weight.numel() for weight in self.net.parameters())
        epochs = f"{self.recipe.epochs} epoch{'' if self.recipe.epochs == 1 else 's'}"
        say(
            f"{self.fitted.model.graph.name} on {self.data.name}: {parameters:,} parameters, "
            f"{epochs} of {self.batches} steps, seed {self.recipe.seed}, "
            f"{self.data.device.type}"
        )
        given, taken = (self.data.size, self.data.size), self.fitted.size
        if given != taken:
            say(f"images of {_by(given)} are resized to the net's {_by(taken)}")

    def _train_epoch(self, number: int, progress: Progress) -> Score:
        self.net.train()
        score = Score()
        batches = self.data.epoch(
            number - 1,
            batch_size=self.recipe.batch_size,
            seed=self.recipe.seed,
            augmentation=AUGMENTATION,
        )
        first = (number - 1) * self.batches
        for step, batch in enumerate(batches, start=first):
            for group in self.optimizer.param_groups:
                group["lr"] = self.recipe.rate(step, self.steps)
            outputs, loss = self._losses(batch.images, batch.targets)
            value = loss.item()
            if not math.isfinite(value):
                raise _diverged(value, number, step + 1, self.recipe.lr)
            self.optimizer.zero_grad()
            torch.autograd.backward(loss)
            self.optimizer.step()
            score.add(value, outputs, batch.labels)
            progress.step()
        return score

    def _losses(self, images: Tensor, targets: Tensor) -> tuple[Sequence[Tensor], Tensor]:
        """Each exit's logits [N, classes], and the batch's cross entropy, summed over the exits."""
        given = self.net(self._adapted(images))
        outputs: Sequence[Tensor] = [given] if isinstance(given, Tensor) else given
        losses = [F.cross_entropy(output, targets) for output in outputs]
        return outputs, torch.stack(losses).sum()

    @torch.no_grad()
    def _test(self) -> Score:
        self.net.eval()
        score = Score()
        for batch in self.data.batches(self.data.test, EVALUATION_BATCH):
            outputs, loss = self._losses(batch.images, batch.labels)
            score.add(loss.item(), outputs, batch.labels)
        return score

    def _adapted(self, images: Tensor) -> Tensor:
        return adapt(images, self.config.channels, self.config.size)

    def _save(self, folder: Path, epochs: Sequence[Epoch]) -> None:
        if len(epochs) == 1:
            begin_run(folder, self.config, self.fitted.model.source)
        weights = self.net.state_dict()
        save_weights(folder / "model.safetensors", weights, self.config.spec_sha256)
        write_atomically(folder / "metrics.csv", to_csv(epochs, self.fitted.exits))


def _diverged(loss: float, epoch: int, step: int, lr: float) -> ArchError:
    return error(
        "E1005",
        f"the loss is {loss} in epoch {epoch}, step {step}: training has diverged",
        help=f"a lower learning rate than {lr:g}, as `--lr {lr / 10:g}`",
    )
