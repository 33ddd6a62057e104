"""Recipes: the shipped ones are the papers', and a mistake is told with its place."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from command_line import TINY, run

from archc.diagnostics import ArchError
from archc.elaborate.files import find_spec, load_program
from archc.syntax.ast import Block, Variant
from archc.train.optimizer import OPTIMIZERS
from archc.train.recipe import Recipe
from archc.train.recipe_file import load_recipe, shipped
from archc.train.schedule import Cosine, CyclicCosine, StepDecay


def test_the_defaults_are_those_of_the_default_recipe() -> None:
    recipe = load_recipe("default")
    without = msgspec.structs.replace(recipe, about="", augmentation=Recipe().augmentation)
    assert without == Recipe()


@pytest.mark.parametrize(
    ("name", "epochs", "batch", "lr", "schedule"),
    [
        ("densenet_cifar", 300, 64, 0.1, StepDecay(at=(0.5, 0.75))),
        ("densenet_imagenet", 90, 256, 0.1, StepDecay(at=(0.33333, 0.66667))),
        ("stochastic_depth_cifar", 500, 128, 0.1, StepDecay(at=(0.5, 0.75))),
        ("slimming", 160, 64, 0.1, StepDecay(at=(0.5, 0.75))),
        ("finetune", 160, 64, 0.1, StepDecay(at=(0.5, 0.75))),
        ("msdnet_cifar", 300, 64, 0.1, StepDecay(at=(0.5, 0.75))),
        ("msdnet_imagenet", 90, 256, 0.1, StepDecay(at=(0.33333, 0.66667))),
        ("snapshot_cifar", 300, 64, 0.2, CyclicCosine(cycles=6)),
        ("dense_grid", 6, 64, 0.1, CyclicCosine(cycles=3)),
    ],
)
def test_a_recipe_has_the_settings_of_its_paper(
    name: str, epochs: int, batch: int, lr: float, schedule: Any
) -> None:
    recipe = load_recipe(name)
    assert (recipe.epochs, recipe.batch_size, recipe.schedule) == (epochs, batch, schedule)
    assert recipe.optimizer == {
        "name": "SGD", "lr": lr, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4,
    }  # fmt: skip
    assert (recipe.sparsity is not None, recipe.scale_init) == (
        (True, 0.5) if name in ("slimming", "dense_grid") else (False, None)
    )


def test_every_recipe_is_looked_at() -> None:
    tested = test_a_recipe_has_the_settings_of_its_paper.pytestmark[0].args[1]
    assert {"default", *(row[0] for row in tested)} == set(shipped())


SPECS = {
    "DenseNet": "densenet_cifar", "DenseNetBC": "densenet_cifar", "DenseNet121": "densenet",
    "DenseNet169": "densenet", "DenseNet201": "densenet", "DenseNet264": "densenet",
    "ResNet": "resnet_cifar", "VGG19": "vgg_cifar", "SlimmingResNet164": "preact_resnet_cifar",
    "MSDNetStep7": "msdnet",
}  # fmt: skip


def test_what_papers_claim_is_of_nets_that_there_are() -> None:
    for claim in (claim for name in shipped() for claim in load_recipe(name).claims):
        assert 0 < claim.error < 50
        nets = {net.name.name: net for net in load_program(find_spec(SPECS[claim.net])).nets}
        net = nets[claim.net]
        while isinstance(net, Variant) and net.base.name in nets:
            net = nets[net.base.name]
        known = {item.name.name for item in net.parameters} if isinstance(net, Block) else set()
        assert claim.settings.keys() <= known, claim


def test_a_recipe_is_the_same_after_it_was_written() -> None:
    for name in shipped():
        recipe = load_recipe(name)
        assert msgspec.yaml.decode(msgspec.yaml.encode(recipe), type=Recipe) == recipe


@pytest.mark.parametrize("name", shipped())
def test_a_dry_run_says_what_would_run(name: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Path("tiny.arch").write_text(TINY, encoding="utf-8")
    given = ("tiny.arch", "--data", "digits", "--out", str(out))
    small = ("--recipe-set", "augmentation.resized_crop=0")
    result = run("train", *given, "--recipe", name, *small, "--dry-run")
    assert result.exit_code == 0, result.stderr
    assert not out.exists()
    assert "Tiny: 162 parameters" in result.stdout
    assert "1,437 images to train on" in result.stdout
    assert f"in {load_recipe(name).epochs} epochs" in result.stdout
    assert "MiB at the most" in result.stdout


# --------------------------------------------------------------------------------- mistakes

RIGHT = """\
epochs: 3
optimizer: {name: SGD, lr: 0.1, momentum: 0.9}
schedule:
  name: step
  at: [0.5]
"""


def refused(text: str, *changes: str) -> str:
    Path("mine.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ArchError) as caught:
        load_recipe("mine.yaml", changes)
    assert "error[E1010]" in str(caught.value)
    return str(caught.value)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("epochs", "epocs", "1:1", "did you mean `epochs`?"),
        ("epochs: 3", "epochs: 0", "1:9", "`epochs`: expected `int` >= 1"),
        ("epochs: 3", "epochs: many", "1:9", "expected `int`, got `str`"),
        ("SGD", "SDG", "2:19", "did you mean `SGD`?"),
        ("momentum", "momentun", "2:33", "did you mean `momentum`?"),
        ("momentum: 0.9", "momentum: -1", "2:12", "torch.optim.SGD refuses this: Invalid mom"),
        ("lr: 0.1", "lr: 0", "2:28", "must be a number above 0, not 0"),
        ("lr: 0.1, ", "", "2:12", "`optimizer` needs `lr`"),
        ("name: step", "name: stop", "4:9", "did you mean `step`?"),
        ("  name: step\n", "  gamma: 0.1\n", "4:3", "needs the name"),
        ("at:", "et:", "5:3", "there is at, gamma, name, warmup"),
        ("  at: [0.5]\n", "", "4:3", "missing required field `at`"),
        ("[0.5]", "[0.5, 2]", "5:13", "`schedule.at.1`: expected `float` < 1.0"),
        ("[0.5]", "[0.5", "6:1", "this is no YAML"),
        ("epochs: 3", "epochs: 3\nepochs: 4", "2:1", "`epochs` is given twice"),
        ("[0.5]", "&a [*a]", "5:7", "a recipe has no aliases"),
        ("epochs: 3", "epochs: !!python/name:os.system", "", "this is no YAML"),
    ],
)
def test_a_mistake_is_told_with_its_place(old: str, new: str, place: str, said: str) -> None:
    assert old in RIGHT
    message = refused(RIGHT.replace(old, new))
    assert said in message
    assert f"mine.yaml:{place}" in message
    assert "^" in message


def test_a_file_that_is_no_mapping_or_too_large_is_refused() -> None:
    assert "is no mapping" in refused("- 1\n")
    assert "larger than" in refused("# " + "x" * 70_000)


def test_an_unknown_recipe_is_told_beside_those_that_there_are() -> None:
    with pytest.raises(ArchError, match="did you mean `densenet_cifar`"):
        load_recipe("densenet_cifr")


def test_changes_take_the_place_of_what_the_recipe_says() -> None:
    changes = (
        "optimizer.lr=0.05", "optimizer.weight_decay=1e-4", "schedule={name: cosine}",
        "augmentation.flip=true", "ema=0.99",
    )  # fmt: skip
    recipe = load_recipe("default", changes)
    assert (recipe.optimizer["lr"], recipe.optimizer["weight_decay"]) == (0.05, 1e-4)
    assert recipe.schedule == Cosine()
    assert (recipe.augmentation.flip, recipe.augmentation.crop_padding) == (True, 1)
    assert recipe.ema == 0.99


@pytest.mark.parametrize(
    ("change", "place", "said"),
    [
        ("optimiser.lr=1", "1:1", "did you mean `optimizer`?"),
        ("optimizer.rl=1", "1:1", "there is dampening,"),
        ("epochs=0", "1:8", "expected `int` >= 1"),
        ("epochs.lr=1", "1:1", "`epochs` has no keys"),
        ("epochs", "1:1", "a change is KEY=VALUE"),
        ("epochs=[", "1:9", "this is no YAML"),
    ],
)
def test_a_wrong_change_is_told_with_its_place(change: str, place: str, said: str) -> None:
    message = refused(RIGHT, change)
    assert said in message
    assert f"--recipe-set:{place}" in message


@pytest.mark.parametrize("name", sorted(OPTIMIZERS))
def test_optimizers_of_torch_are_taken_by_name(name: str) -> None:
    recipe = load_recipe("default", [f"optimizer={{name: {name}, lr: 0.01}}"])
    assert recipe.optimizer == {"name": name, "lr": 0.01}


def test_lists_are_the_tuples_of_torch() -> None:
    load_recipe("default", ["optimizer={name: AdamW, lr: 0.01, betas: [0.8, 0.9]}"])
    with pytest.raises(ArchError, match="refuses this"):
        load_recipe("default", ["optimizer={name: AdamW, lr: 0.01, betas: 3}"])
