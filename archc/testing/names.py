"""Names for generated specs: plain ones, and those that mean something elsewhere."""

VARIABLES = ["y", "z", "u", "v", "skip", "deep", "wide", "left", "right", "out_", "feat", "h2"]

AWKWARD = [
    "self", "F", "torch", "nn", "Tensor", "layer", "child", "super", "print", "list", "tuple",
    "x2", "y2", "Sequence", "_", "__y", "ValueError", "int", "str", "i", "training", "i2",
    "drop_path", "getattr", "weight", "forward", "half", "isinstance", "enumerate", "set",
    "num_classes", "in_chans", "pre_logits", "module", "children", "exits",
]  # fmt: skip
"""Names that mean something in Python, in torch or in emitted code."""

LABELS = [
    "proj", "body", "norm", "tail", "stem", "mixer", "squeeze", "A", "branch", "unit_", "lift",
    "q", "k", "final", "inner", "outer", "pre", "post",
]  # fmt: skip

AWKWARD_LABELS = [
    "F", "torch", "nn", "x", "weight", "bias", "layer", "0", "1", "7", "00", "Tensor", "super",
    "self", "print", "out", "width", "channels", "image", "i", "items", "keys", "pop", "modules_",
    "_", "list", "01a", "growth", "training_", "child", "block1-0", "3x3", "a/b:0", "lambda", "-",
    "relu(x)", "[0]", "*", "#1", "<&>", "50%", "$x", "+=", "`|",
]  # fmt: skip

BLOCKS = ["Cell", "Unit", "Mixer", "Fuse", "Gate", "Stage", "Tower", "Merge", "Block", "Step"]

AWKWARD_BLOCKS = [
    "Tensor", "Sequence", "super", "int", "list", "ValueError", "drop_path_", "nn", "F", "torch",
    "range_", "tuple", "isinstance", "float", "bool", "str", "_Hidden", "Net2", "type", "dict",
]  # fmt: skip

HYPERS = ["out", "width", "growth", "planes", "ratio", "bottleneck"]

AWKWARD_HYPERS = [
    "self", "nn", "F", "training", "forward", "layer", "channels", "i", "kernel", "super", "module",
    "__h", "bias", "Tensor", "stride", "half", "children", "rate", "layers", "_modules", "weight",
]  # fmt: skip
