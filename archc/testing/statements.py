"""All statements of generated specs beyond plain chains."""

from typing import TYPE_CHECKING

from archc.testing.control import Control
from archc.testing.dense import Dense
from archc.testing.grids import Grids
from archc.testing.joins import FOLDS, SIGNS, Joins
from archc.testing.parts import Parts
from archc.testing.sharing import Sharing

if TYPE_CHECKING:
    from archc.testing.body import Statement


class Statements(Joins, Sharing, Grids, Parts, Dense, Control):
    """A body that can write every statement of the language."""

    def act(self, *, inner: bool = False) -> None:
        """Some action that goes through."""
        actions = [
            *(self.chain, self.concat, self.concat, self.arithmetic, self.residual, self.fold),
            *(self.particular, self.particular, self.computed_weight, self.learned, self.growing),
            *(self.numbers, self.tied_weight, self.recur, self.fitted, self.learned_part),
            *(self.loop, self.loop, self.condition, self.layer_list, self.numbered_scope),
            *(self.share_layer, self.share_layer, self.apply, self.apply, self.scope, self.exit),
            *(self.layer_argument, self.grid),
            *(self.inner_net, self.nested, self.imported),
            *(self.dense_block, self.dense_block, self.stem, self.shaken),
        ]
        if inner:
            actions.remove(self.layer_argument)
        for _ in range(4):
            if self.attempt(self.one_of(*actions)):
                return
        self.attempt(self.chain)

    def show(self, name: str) -> None:
        """A statement with this operator."""
        actions: dict[str, Statement] = {
            **{op: lambda op=op: self.arithmetic(op) for op in SIGNS},  # type: ignore[misc]
            **{op: lambda op=op: self.fold(op) for op in FOLDS},  # type: ignore[misc]
            "concat": self.concat,
            "apply_conv": self.computed_weight,
            "apply_conv_transpose": self.tied_weight,
            "affine": self.numbers,
            "param": self.learned,
            "drop_path": self.residual,
            "shake_shake": self.shaken,
        }
        action = actions.get(name, lambda: self.particular(name))
        for _ in range(20):
            if self.attempt(action):
                return
