"""A trial of mends: what a call of PyTorch's says of its input is compared with what arrives there.

`nn.Conv2d(64, 96, 3)` says that 64 channels and two axes arrive, and PyTorch refuses others; the
mend `conv(96, 3, ...)` does not say so. A trial's text does, by two arguments that no operator has:
`conv(96, 3, in_channels=64, in_axes=[2])`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from archc.elaborate.values import Datum, Given, MadeLayer
from archc.ops.op import TensorType

CHANNELS = "in_channels"
AXES = "in_axes"


@dataclass
class Trial:
    """What elaborations have found: by the place and text of a call that was reached, whether its
    input was always as it says."""

    fits: dict[tuple[int, str], bool] = field(default_factory=dict)
    _said: dict[int, tuple[MadeLayer, dict[str, Datum]]] = field(default_factory=dict)

    def said(self, given: Sequence[Given]) -> dict[str, Datum]:
        """What arguments say of the input."""
        return {each.name: each.value for each in given if each.name in (CHANNELS, AXES)}

    def make(self, made: MadeLayer, said: dict[str, Datum]) -> None:
        """A layer has been made whose arguments said that."""
        self._said[id(made)] = made, said

    def apply(self, made: MadeLayer, types: Sequence[TensorType]) -> None:
        """A layer is applied to tensors, the first of which is its input."""
        _, said = self._said.get(id(made), (made, {}))
        if not said:
            return
        of_image, place = types[0], (made.span.start, made.span.text)
        axes = said.get(AXES)
        fits = said.get(CHANNELS, of_image.channels) == of_image.channels
        fits &= axes is None or (isinstance(axes, list) and of_image.rank in axes)
        self.fits[place] = fits and self.fits.get(place, True)
