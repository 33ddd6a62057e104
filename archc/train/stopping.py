"""SIGTERM and SIGINT: a training finishes its step, saves, and ends."""

import signal
import threading
import time
from types import FrameType, TracebackType
from typing import Any, Self

AGAIN = 1.0
"""Seconds after which a second Ctrl-C is meant: launchers pass on the first one at once."""


class Stop:
    """A context in which the signals are noted; `signal` is the first one."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        self._since = 0.0
        self._before: dict[signal.Signals, Any] = {}

    @property
    def interrupted(self) -> bool:
        """Whether somebody pressed Ctrl-C."""
        return self.signal == signal.SIGINT

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.signal is None:
            self.signal, self._since = signal.Signals(number), time.monotonic()
        elif number == signal.SIGINT and time.monotonic() - self._since > AGAIN:
            raise KeyboardInterrupt
