"""Emitted files as real modules: a spec is compiled and its text imported from a file, once."""

import importlib.util
import sys
import tempfile
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from archc.compiler import Compilation, Request, compile_spec
from archc.ir.dump import hyper_text
from archc.ir.graph import Graph
from archc.passes.base import Pass
from archc.passes.pipeline import DEFAULT

torch.set_num_threads(1)  # the nets here are small; CI has two cores for all of the suite

SHIPPED = {
    "all_cnn": ("AllCNN",),
    "dense_grid": ("DenseGrid",),
    "densenet": ("DenseNet121", "DenseNet161", "DenseNet169", "DenseNet201", "DenseNet264"),
    "densenet3d": ("DenseNet3D121", "DenseNet3D169", "DenseNet3D201", "DenseNet3D264"),
    "densenet_cifar": ("DenseNetBC", "DenseNet", "DenseNetB", "DenseNetC"),
    "dla": (
        "DLA34",
        "DLA46C",
        "DLA46XC",
        "DLA60XC",
        "DLA60",
        "DLA60X",
        "DLA102",
        "DLA102X",
        "DLA102X2",
        "DLA169",
    ),
    "convnext": ("ConvNeXtTiny", "ConvNeXtBase"),
    "efficientnet": ("EfficientNetB0", "EfficientNetB4"),
    "googlenet": ("GoogLeNet", "GoogLeNetPlain"),
    "mobilenet_v2": ("MobileNetV2", "MobileNetV2x140"),
    "g_ghost": ("GGhostRegNetX032", "GGhostRegNetX080", "GGhostRegNetX320"),
    "ghostnet": ("GhostNet", "GhostNet050", "GhostNet130"),
    "msdnet": ("MSDNet", "MSDNetStep6", "MSDNetStep7"),
    "msdnet_cifar": ("MSDNetAnytime", "MSDNetBudgeted"),
    "nin": ("NIN",),
    "preact_resnet": ("PreActResNet200", "PreActResNet152"),
    "preact_resnet_cifar": ("PreActResNet164", "PreActResNet1001", "SlimmingResNet164"),
    "fpn": ("ResNet50FPN", "ResNet18FPN", "ResNet101FPN"),
    "hardnet": ("HarDNet68", "HarDNet85", "HarDNet68DS", "HarDNet39DS"),
    "mgic": ("MGIC34", "MGIC34Tied"),
    "min_nets": ("CifarMinFP", "CifarMinFPBasic", "CifarPyrResNet", "CifarResNet", "DenseMin"),
    "regnet": ("RegNetY400MF", "RegNetX400MF", "RegNetX8GF"),
    "resnet": ("ResNet50", "ResNet18", "ResNet34", "ResNet101", "ResNet152"),
    "resnet3d": (
        "ResNet3D18",
        "ResNet3D10",
        "ResNet3D34",
        "ResNet3D50",
        "ResNet3D101",
        "ResNet3D152",
        "ResNet3D200",
    ),
    "resnet_cifar": ("ResNet", "WideResNet32"),
    "resnext": ("ResNeXt50", "ResNeXt101", "ResNeXt101x64"),
    "resnext_cifar": ("ResNeXt29", "ResNeXt29x16"),
    "se_resnet": ("SEResNet50", "SEResNet101", "SEResNet152", "SEResNeXt50", "CaffeSEResNet50"),
    "vgg": ("VGG16", "VGG11", "VGG13", "VGG19"),
    "vgg_cifar": ("VGG19", "VGG11", "VGG13", "VGG16"),
    "wide_resnet": ("WideResNet50", "WideResNet101"),
    "wide_resnet_cifar": ("WideResNet28x10", "WideResNet16x8", "WideResNet40x4"),
    "rkcnn": ("RKCNNE", "RKCNNI", "RKCNNR"),
    "threshnet": ("ThreshNet79", "ThreshNet95"),
    "unet": ("UNet",),
    "xnor_net": ("XnorNIN", "XnorNINUnscaled", "XnorAlexNet"),
}
"""The nets of the shipped specs."""

ALIKE = {
    "densenet": ("DenseNet161", "DenseNet169", "DenseNet201", "DenseNet264"),
    "densenet3d": ("DenseNet3D169", "DenseNet3D201", "DenseNet3D264"),
    "convnext": ("ConvNeXtBase",),
    "mobilenet_v2": ("MobileNetV2x140",),
    "ghostnet": ("GhostNet050", "GhostNet130"),
    "preact_resnet": ("PreActResNet152",),
    "preact_resnet_cifar": ("PreActResNet1001",),
    "fpn": ("ResNet101FPN",),
    "resnet": ("ResNet101", "ResNet152"),
    "resnet3d": ("ResNet3D101", "ResNet3D152", "ResNet3D200"),
    "resnext": ("ResNeXt101", "ResNeXt101x64"),
    "resnext_cifar": ("ResNeXt29x16",),
    "se_resnet": ("SEResNet101", "SEResNet152"),
    "wide_resnet": ("WideResNet101",),
    "wide_resnet_cifar": ("WideResNet40x4",),
    "threshnet": ("ThreshNet95",),
}
"""Nets whose texts differ in names and numbers only from that of one before them in their spec."""

SMALL: list[tuple[str, str, dict[str, Any]]] = [
    ("densenet", "DenseNet121", {"blocks": [2, 3, 2, 2], "growth": 4, "stem": 8}),
    ("densenet_cifar", "DenseNetBC", {"depth": 16, "growth": 4}),
    ("densenet_cifar", "DenseNet", {"depth": 13, "growth": 4, "dropout_rate": 0.2}),
    ("g_ghost", "GGhostRegNetX032", {"blocks": [1, 4, 2, 1], "group_width": 24}),
    ("preact_resnet", "PreActResNet200", {"blocks": [1, 2, 1]}),
    ("preact_resnet_cifar", "PreActResNet164", {"depth": 20}),
    ("preact_resnet_cifar", "SlimmingResNet164", {"depth": 20}),
    ("resnet", "ResNet18", {}),
    ("resnet", "ResNet50", {"blocks": [1, 2, 1, 1]}),
    ("resnet_cifar", "ResNet", {"depth": 14}),
    ("resnet_cifar", "ResNet", {"depth": 14, "projection": True, "bias": True}),
    ("se_resnet", "CaffeSEResNet50", {"blocks": [1, 2, 1]}),
    ("wide_resnet_cifar", "WideResNet28x10", {"depth": 16, "widen": 2, "dropout_rate": 0.3}),
]
"""Small members of families: spec, net, settings."""

RUNTIME_HEADING = "# --- archc runtime"
O0: tuple[Pass, ...] = ()

_folder = tempfile.TemporaryDirectory(prefix="archc-tests-")


@dataclass(frozen=True)
class Emitted:
    """A compiled net; its text, and the file that holds it, are made when they are asked for."""

    compilation: Compilation

    @cached_property
    def source(self) -> str:
        return self.compilation.source()

    @cached_property
    def path(self) -> Path:
        number = len(list(Path(_folder.name).glob("*.py")))
        path = Path(_folder.name) / f"emitted_{number}_{self.graph.name}.py"
        path.write_text(self.source, encoding="utf-8")
        return path

    @property
    def graph(self) -> Graph:
        """The net after the passes."""
        return self.compilation.graph

    @property
    def model_lines(self) -> list[str]:
        """What stands above the runtime."""
        return self.source.split(RUNTIME_HEADING)[0].rstrip().split("\n")

    @property
    def parameters(self) -> int:
        """The number of trained weights, by the graph."""
        return sum(w.elements for _, weights in self.graph.weights() for w in weights if w.trained)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates for one image, by the graph; None for a net of symbolic size."""
        graph = self.graph
        found = [node.op.macs(graph.operand_types(node.id), node.type) for node in graph.nodes()]
        counts = [count for count in found if count is not None]
        return sum(counts) if len(counts) == len(found) else None

    @property
    def module(self) -> ModuleType:
        """The imported file."""
        return _import(self.path)

    def build(self, *, seed: int = 0, **arguments: Any) -> nn.Module:
        """An instance of the net; weights drawn with `seed`."""
        return build_from(self.path, seed=seed, **arguments)


def build_from(path: Path, *, seed: int = 0, **arguments: Any) -> nn.Module:
    """An instance of the net in an emitted file."""
    module = _import(path)
    torch.manual_seed(seed)
    net: nn.Module = getattr(module, module.__all__[0])(**arguments)
    return net


def emit(
    spec: str | Path,
    net: str | None = None,
    passes: tuple[Pass, ...] = DEFAULT,
    **settings: Any,
) -> Emitted:
    """A net of a shipped spec, or of a spec's path, compiled once in a session."""
    texts = tuple((name, hyper_text(_frozen(value))) for name, value in settings.items())
    return _compiled(str(spec), net, passes, texts)


@cache
def _compiled(
    spec: str, net: str | None, passes: tuple[Pass, ...], settings: tuple[tuple[str, str], ...]
) -> Emitted:
    return Emitted(compile_spec(Request(spec, net, dict(settings), passes)))


@cache
def _import(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value
