"""What the registry says of hyperparameters, and how operators refuse wrong ones."""

import pytest

from archc.ops.op import REQUIRED, Op, OpError, TensorType
from archc.ops.registry import OPS, check, parameters
from archc.ops.resize import Upsample
from archc.ops.size import Size

IMAGE = TensorType((16, 8, 8))
VECTOR = TensorType((16,))
ROW = TensorType((16, 8))
LEARNED = TensorType((16, 1, 1), batched=False)
KERNEL = TensorType((8, 16, 3, 3), batched=False)


def make(name: str, **values: object) -> Op:
    """An operator as the elaborator makes it: each value checked."""
    cls = OPS[name]
    return cls(**{key: check(cls, key, value) for key, value in values.items()})


def test_parameters_are_listed_in_the_order_of_positional_arguments() -> None:
    kernel, stride, padding, _ = parameters(OPS["max_pool"])
    assert (kernel.name, kernel.kind, kernel.default, kernel.low) == (
        "kernel",
        "sizes",
        REQUIRED,
        1,
    )
    assert (stride.name, stride.default, stride.required) == ("stride", None, False)
    assert (padding.name, padding.default) == ("padding", 0)


@pytest.mark.parametrize(
    ("op", "name", "value", "held"),
    [
        ("conv", "out", 16, 16),
        ("conv", "kernel", [3, 1], (3, 1)),
        ("conv", "padding", "same", "same"),
        ("conv", "padding", (1, 0), (1, 0)),
        ("conv", "bias", True, True),
        ("dropout", "rate", 0, 0.0),
        ("upsample", "mode", "bilinear", "bilinear"),
        ("param", "shape", [16, 1, 1], (16, 1, 1)),
    ],
)
def test_a_value_of_the_language_becomes_a_field(
    op: str, name: str, value: object, held: object
) -> None:
    checked = check(OPS[op], name, value)
    assert checked == held
    assert type(checked) is type(held)


@pytest.mark.parametrize(
    ("op", "name", "value", "message", "help"),
    [
        ("conv", "out", 16.0, "`out` must be a whole number, not 16.0", "use `//` or `int()`"),
        ("conv", "out", True, "`out` must be a whole number, not true", None),
        (
            "conv",
            "out",
            "16",
            '`out` must be a whole number, not "16"',
            "write `16`, without quotes",
        ),
        ("conv", "out", Size("H") // 2, "not the symbolic size `H // 2`", None),
        ("conv", "out", object(), "`out` must be a whole number, not a object", None),
        ("conv", "kernel", 0, "`kernel` must be at least 1, not 0", None),
        ("conv", "kernel", 1024, "`kernel` must be at most 1023, not 1024", None),
        ("conv", "kernel", [3, 0], "`kernel` must be at least 1, not 0", None),
        ("conv", "kernel", [], "must be a whole number, or one for each axis, not []", None),
        (
            "conv",
            "kernel",
            [1.5, 2],
            "or one for each axis, not 1.5",
            "`//` and `int()` cut off, `round()` rounds",
        ),
        ("conv", "padding", "valid", '"same", a whole number, or one for each axis', "padding=0"),
        ("conv", "bias", 1, "`bias` must be true or false, not 1", "`true`"),
        ("conv", "kernal", 3, "`conv` has no parameter `kernal`", "did you mean `kernel`?"),
        ("relu", "inplace", True, "`relu` has no parameter `inplace`", "it has none"),
        ("dropout", "rate", 1, "`rate` must be less than 1, not 1", None),
        ("dropout", "rate", -0.5, "`rate` must be at least 0, not -0.5", None),
        ("dropout", "rate", float("nan"), "`rate` must be a number, not nan", None),
        ("dropout", "rate", False, "`rate` must be a number, not false", None),
        ("drop_path", "survival", 0, "`survival` must be greater than 0, not 0", None),
        (
            "upsample",
            "mode",
            "biliner",
            'must be "nearest" or "bilinear" or "bicubic"',
            "did you mean",
        ),
        ("param", "shape", 16, "`shape` must be a list of whole numbers, not 16", None),
        ("param", "shape", [16, 0], "`shape` must be at least 1, not 0", None),
    ],
)
def test_a_wrong_value_is_refused(
    op: str, name: str, value: object, message: str, help: str | None
) -> None:
    with pytest.raises(OpError) as refused:
        check(OPS[op], name, value)
    assert message in refused.value.message
    assert refused.value.parameter == name
    assert (help or "") in (refused.value.help or "")
    assert (help is None) == (refused.value.help is None)


@pytest.mark.parametrize(
    ("op", "types", "message"),
    [
        (
            make("conv", out=8),
            [VECTOR],
            "`conv` needs 1, 2 or 3 spatial axes, but its input is [16]",
        ),
        (
            make("conv", out=8, kernel=[3, 3, 3]),
            [IMAGE],
            "`kernel` is [3, 3, 3], but the input has 2",
        ),
        (make("conv", out=8, kernel=2), [IMAGE], "an even kernel (2) has no same padding"),
        (
            make("conv", out=8, kernel=9, padding=0),
            [IMAGE],
            "does not fit into its input [16, 8, 8]",
        ),
        (make("conv", out=8, groups=3), [IMAGE], "`groups=3` must divide the 16 input channels"),
        (make("linear", out=8), [IMAGE], "`linear` needs a vector, but its input is [16, 8, 8]"),
        (make("bn"), [TensorType((4, 1, 1, 1, 1))], "`bn` takes at most 3 spatial axes"),
        (make("max_pool", kernel=2, padding=2), [IMAGE], "may be at most half its kernel"),
        (make("avg_pool", kernel=9), [IMAGE], "the window of `avg_pool` does not fit"),
        (make("global_avg_pool"), [VECTOR], "needs 1, 2 or 3 spatial axes"),
        (
            make("concat"),
            [IMAGE, IMAGE, TensorType((3, 4, 8))],
            "its 3rd operand is [3, 4, 8] and its 1st operand is [16, 8, 8]",
        ),
        (make("concat"), [], "`concat` needs at least one tensor"),
        (make("add"), [IMAGE], "`add` takes 2 tensors, not 1"),
        (make("add"), [IMAGE, TensorType((16, 8, 4))], "[16, 8, 8] and [16, 8, 4]: 8 is not 4"),
        (make("mul"), [IMAGE, VECTOR], "`mul` needs equally many axes"),
        (make("take", count=8, start=9), [IMAGE], "wants channels 9 to 16, but its input"),
        (make("pad", spatial=1), [VECTOR], "`pad` needs 1, 2 or 3 spatial axes"),
        (
            make("pad", top=1),
            [ROW],
            "has no side `top` for the input [16, 8]: its sides are `left`",
        ),
        (make("pad", front=1), [IMAGE], "its sides are `left`, `right`, `top` and `bottom`"),
        (make("pad", spatial=1, left=1), [IMAGE], "`spatial` is for all sides of the image"),
        (make("pad", left=8, mode="reflect"), [IMAGE], "has no more than 7 of 8 positions"),
        (make("pad", channels=1, mode="replicate"), [IMAGE], "channels are padded with zeros"),
        (make("crop", spatial=1), [VECTOR], "`crop` needs 1, 2 or 3 spatial axes"),
        (make("crop", top=4, bottom=4), [IMAGE], "`crop` by 8 leaves nothing of an axis of 8"),
        (make("conv", out=8, padding=[0, 1, 0, 1]), [IMAGE], "pads both sides of an axis alike"),
        (make("max_pool", kernel=2, padding=[0, 1]), [ROW], "pads both sides of an axis alike"),
        (
            make("flatten"),
            [TensorType((3, Size("H"), 8))],
            "`flatten` needs sizes that are numbers",
        ),
        (
            make("upsample", scale=2),
            [TensorType((3, Size("H") // 2, 8))],
            "`upsample`: 2 times `H // 2` is not exact",
        ),
        (make("upsample", size=[4]), [IMAGE], "`size` is [4], but the input has 2 spatial axes"),
        (make("upsample", size=4, mode="bicubic"), [ROW], "`bicubic` is for 2 spatial axes"),
        (Upsample(like=True), [IMAGE, ROW], "which has other spatial axes than the input"),
        (Upsample(like=True), [IMAGE, KERNEL], "needs a tensor of the batch, but its 2nd operand"),
        (make("relu"), [IMAGE, IMAGE], "`relu` takes 1 tensor, not 2"),
        (make("param", shape=[4]), [IMAGE], "`param` takes no tensors, not 1"),
        (make("bn"), [LEARNED], "`bn` needs a tensor of the batch, but its input is the learned"),
        (make("conv", out=8, groups=2, group_size=8), [IMAGE], "two ways to say the same"),
        (make("conv", out=8, group_size=5), [IMAGE], "`group_size=5` must divide the 16 input"),
        (make("conv", out=6, group_size=4), [IMAGE], "`groups=4` must divide the 16 input"),
        (make("conv_transpose", out=8, kernel=2, output_padding=1), [IMAGE], "1 is not less than"),
        (make("conv_transpose", out=8, kernel=1, padding=4), [IMAGE], "leaves nothing"),
        (make("apply_conv"), [IMAGE, IMAGE], "must be a learned tensor, but its 2nd operand"),
        (make("apply_conv"), [KERNEL, IMAGE], "its 1st operand is the learned tensor"),
        (make("apply_conv"), [IMAGE, LEARNED], "must be [out, 16, kernel, kernel] for the input"),
        (make("apply_conv", groups=2), [IMAGE, KERNEL], "[8, 16, 3, 3]: 16 is not 8"),
        (
            make("apply_conv_transpose"),
            [IMAGE, LEARNED],
            "must be [16, out // groups, kernel, kernel]",
        ),
        (make("apply_conv_transpose"), [IMAGE, KERNEL], "8 is not 16"),
        (make("div"), [IMAGE, VECTOR], "`div` needs equally many axes"),
        (make("group_norm", groups=3), [IMAGE], "`groups=3` must divide the 16 input channels"),
        (make("group_norm", groups=16), [VECTOR], "normalises single values"),
        (make("instance_norm"), [VECTOR], "`instance_norm` needs 1, 2 or 3 spatial axes"),
        (make("instance_norm"), [TensorType((16, 1, 1))], "has only one"),
        (make("abs_mean"), [VECTOR], "`abs_mean` needs axes beyond the first"),
        (make("reshape", shape=[8, 8]), [IMAGE], "takes 64 values, but its input [16, 8, 8] has"),
        (make("reshape", shape=[2, 2, 2, 2, 64]), [IMAGE], "up to three spatial sizes"),
        (make("pixel_shuffle", factor=3), [IMAGE], "needs a multiple of 9 channels"),
        (make("pixel_shuffle", factor=2), [VECTOR], "`pixel_shuffle` needs 2 spatial axes"),
        (make("space_to_depth", factor=3), [IMAGE], "needs multiples of 3"),
        (make("channel_shuffle", groups=3), [IMAGE], "`groups=3` must divide the 16"),
        (make("sum"), [IMAGE, IMAGE, VECTOR], "`sum` needs equally many axes"),
        (make("max"), [], "`max` needs at least one tensor"),
    ],
    ids=str,
)
def test_wrong_operands_are_refused(op: Op, types: list[TensorType], message: str) -> None:
    with pytest.raises(OpError) as refused:
        op.infer(*types)
    assert message in refused.value.message


def test_a_learned_tensor_joins_the_batch_by_arithmetic() -> None:
    assert make("mul").infer(LEARNED, IMAGE) == IMAGE
    assert make("sigmoid").infer(LEARNED) == LEARNED
    assert make("add").infer(LEARNED, LEARNED) == LEARNED


def test_arithmetic_on_learned_tensors_is_learned() -> None:
    scale = make("abs_mean").infer(KERNEL)
    assert scale == TensorType((8, 1, 1, 1), batched=False)
    weight = make("mul").infer(make("sign_ste").infer(KERNEL), scale)
    assert weight == KERNEL
    assert make("apply_conv").infer(IMAGE, weight) == TensorType((8, 8, 8))


@pytest.mark.parametrize(
    ("op", "size", "out"),
    [
        (make("conv_transpose", out=8, kernel=2, stride=2), "H", "2*H"),
        (make("conv_transpose", out=8, kernel=4, stride=2, padding=1), "H", "2*H"),
        (make("conv_transpose", out=8, kernel=3, stride=2), "H", "2*H + 1"),
        (make("max_pool", kernel=2, ceil_mode=True), "H", "(H + 1) // 2"),
        (make("max_pool", kernel=3, stride=2, padding=1, ceil_mode=True), "H", "(H + 2) // 2"),
        (make("avg_pool", kernel=1, stride=2, ceil_mode=True), "H", "(H + 1) // 2"),
        (make("adaptive_avg_pool", size=7), "H", "7"),
        (make("space_to_depth", factor=2), "4*H", "2*H"),
        (make("pixel_shuffle", factor=2), "H", "2*H"),
        (make("pad", bottom=1, top=2), "H", "H + 3"),
        (make("crop", bottom=1, top=2), "2*H", "2*H - 3"),
    ],
    ids=str,
)
def test_symbolic_sizes_stay_exact(op: Op, size: str, out: str) -> None:
    factor = int(size.removesuffix("*H")) if "*" in size else 1
    given = Size("H") * factor
    assert str(op.infer(TensorType((16, given, given))).spatial[0]) == out


@pytest.mark.parametrize(
    ("op", "size"),
    [
        (make("conv_transpose", out=8, kernel=2, stride=2), Size("H") // 2),
        (make("space_to_depth", factor=2), Size("H")),
        (make("space_to_depth", factor=2), Size("H") * 2 + 1),
    ],
    ids=str,
)
def test_a_size_that_is_not_exact_is_refused_with_what_to_declare(op: Op, size: Size) -> None:
    with pytest.raises(OpError) as refused:
        op.infer(TensorType((16, size, size)))
    assert "is not exact" in refused.value.message
    assert "2*H" in (refused.value.help or "")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "`upsample` needs one of `scale`, `size` and `like`"),
        (
            {"scale": 2, "size": 8},
            "needs one of `scale`, `size` and `like`, not `scale` and `size`",
        ),
        ({"scale": 2, "align_corners": True}, "`align_corners` is for `bilinear` and `bicubic`"),
    ],
)
def test_upsample_refuses_what_contradicts_itself(given: dict[str, object], message: str) -> None:
    with pytest.raises(OpError) as refused:
        make("upsample", **given)
    assert message in refused.value.message


@pytest.mark.parametrize("name", ["left", "spatial"])
@pytest.mark.parametrize(("op", "other"), [("pad", "crop"), ("crop", "pad")])
def test_a_negative_number_is_refused_with_the_operator_that_is_meant(
    op: str, other: str, name: str
) -> None:
    with pytest.raises(OpError) as refused:
        make(op, **{name: -2})
    assert refused.value.message == f"`{name}` must be at least 0, not -2"
    assert refused.value.help == f"`{other}({name}=2)` does the opposite"


def test_a_group_size_is_the_width_of_a_group() -> None:
    (weight,) = make("conv", out=32, kernel=3, group_size=4).weights(IMAGE)
    assert weight.shape == (32, 4, 3, 3)


def test_padding_makes_the_shortcut_of_a_residual_network() -> None:
    halved = make("avg_pool", kernel=1, stride=2).infer(IMAGE)
    assert make("pad", channels=16).infer(halved) == TensorType((32, 4, 4))


@pytest.mark.parametrize(
    ("op", "text"),
    [
        (make("bn"), "bn"),
        (make("conv", out=64, kernel=3, stride=2), "conv(64, 3, 2)"),
        (make("conv", out=64, kernel=[3, 1], bias=True), "conv(64, [3, 1], bias=true)"),
        (make("max_pool", kernel=3, padding=1), "max_pool(3, padding=1)"),
        (make("upsample", scale=2, mode="bilinear"), 'upsample(scale=2, mode="bilinear")'),
    ],
)
def test_an_operator_reads_as_the_language_writes_it(op: Op, text: str) -> None:
    assert str(op) == text
