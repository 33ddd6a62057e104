"""What archc's slimming and torch-pruning's BNScalePruner leave of the same nets.

    pip install --no-deps --target FOLDER torch-pruning==1.6.1
    PYTHONPATH=FOLDER python benchmarks/slimming_beside_torch_pruning.py

For each net: parameters and multiply-accumulates that are left at equal ratios, or why the pruner
fails. Scales are drawn; nothing is said of accuracy here.
"""

import datetime as dt
import json
import platform
import warnings
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

import archc
from archc.analysis.cost import costs_of
from archc.api import Model
from archc.channels.selection import choose, widths_of
from archc.passes.slim import thin
from archc.slim.scores import scores_of

RATIO = 0.5
NETS = [
    ("vgg_cifar", "VGG19", {}, 32),
    ("resnet_cifar", "ResNet", {"depth": 20}, 32),
    ("preact_resnet_cifar", "SlimmingResNet164", {"depth": 29}, 32),
    ("densenet_cifar", "DenseNet", {}, 32),
    ("densenet_cifar", "DenseNetBC", {"depth": 40}, 32),
    ("msdnet_cifar", "MSDNetAnytime", {"exits": 3}, 32),
    ("ghostnet", "GhostNet", {}, 224),
    ("mobilenet_v2", "MobileNetV2", {}, 224),
    ("se_resnet", "SEResNet50", {}, 224),
]


def costs(net: nn.Module, image: torch.Tensor) -> tuple[int, int]:
    """Parameters and multiply-accumulates."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net.eval()(image)
    return sum(weight.numel() for weight in net.parameters()), counter.get_total_flops() // 2


def built(spec: Model) -> nn.Module:
    net = spec.build()
    generator = torch.Generator().manual_seed(1)
    for norm in net.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.weight.data.copy_(torch.rand(norm.weight.shape, generator=generator))
    return net


def theirs(net: nn.Module, image: torch.Tensor) -> tuple[int, int]:
    import torch_pruning as tp

    last = [module for module in net.modules() if isinstance(module, nn.Linear)]
    pruner = tp.pruner.BNScalePruner(
        net,
        image,
        importance=tp.importance.BNScaleImportance(),
        global_pruning=True,
        pruning_ratio=RATIO,
        ignored_layers=last,
    )
    pruner.step()
    return costs(net, image)


def main() -> None:
    warnings.simplefilter("ignore")
    rows = []
    for name, net_name, settings, side in NETS:
        spec = archc.load(name, net_name, passes="simplify", **settings)
        image, net = torch.randn(1, 3, side, side), built(spec)
        whole = costs(net, image)
        scores = scores_of("scale", spec.graph, net.state_dict())
        assert scores.keys() == widths_of(spec.graph).keys()
        ours = costs_of(thin(choose(spec.graph, scores, RATIO).channels)).total()
        left = f"{ours.params / whole[0]:6.1%} {(ours.macs or 0) / whole[1]:6.1%}"
        try:
            params, macs = theirs(net, image)
            other = f"{params / whole[0]:6.1%} {macs / whole[1]:6.1%}"
        except Exception as problem:  # noqa: BLE001 -- whatever it is, it is the result
            text = str(problem).strip() or "-"
            other = f"fails: {type(problem).__name__}: {text.splitlines()[0][:80]}"
        print(f"{net_name:<20} archc {left}   torch-pruning {other}", flush=True)
        rows.append(
            {"net": f"{name} {net_name}", **settings, "archc": left, "torch_pruning": other}
        )
    about = {
        "date": str(dt.datetime.now(tz=dt.UTC).date()),
        "machine": platform.machine(),
    }
    content = json.dumps({**about, "torch": str(torch.__version__), "nets": rows}, indent=1) + "\n"
    (Path(__file__).parent / "results" / "slimming.json").write_text(content)


if __name__ == "__main__":
    main()
