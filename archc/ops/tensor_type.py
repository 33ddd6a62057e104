"""What the compiler knows of a tensor: its shape, and whether it has a batch axis."""

from dataclasses import dataclass

from archc.ops.size import Dim, product


@dataclass(frozen=True, slots=True)
class TensorType:
    """The shape of one sample: `[channels, *spatial sizes]`; the batch axis is left out.

    A learned tensor is not `batched`: it really has this shape, and broadcasts over the batch.
    What gives several tensors has the type of the first, and those of the `others`.
    """

    shape: tuple[Dim, ...]
    batched: bool = True
    others: tuple["TensorType", ...] = ()

    @property
    def parts(self) -> tuple["TensorType", ...]:
        """The types of all results."""
        return (TensorType(self.shape, self.batched), *self.others)

    @property
    def channels(self) -> int:
        channels = self.shape[0]
        assert isinstance(channels, int)
        return channels

    @property
    def spatial(self) -> tuple[Dim, ...]:
        return self.shape[1:]

    @property
    def rank(self) -> int:
        """The number of spatial axes: 0 for a vector, 2 for an image."""
        return len(self.shape) - 1

    @property
    def elements(self) -> int | None:
        """Elements a sample, or None where a size is symbolic."""
        return product(self.shape)

    def __str__(self) -> str:
        if self.others:
            return f"({', '.join(map(str, self.parts))})"
        return f"[{', '.join(map(str, self.shape))}]"
