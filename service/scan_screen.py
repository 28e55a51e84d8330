"""The live list of a scan in a terminal: redrawn in place, cut to what the terminal shows."""

from __future__ import annotations

import asyncio
import os
from typing import Callable, List, Sequence, TextIO

from service.status_screen import HOME_AND_CLEAR

REDRAW_S = 0.5


class ScanScreen:
    """Draws the lines that *lines* gives at that moment, as many of them and as much of each as the terminal shows."""

    def __init__(self, stream: TextIO, lines: Callable[[], List[str]]) -> None:
        self._stream = stream
        self._lines = lines

    def draw(self) -> None:
        """Draw everything afresh."""
        columns, rows = _size(self._stream)
        lines = self._lines()
        if len(lines) > rows - 1:
            hidden = len(lines) - (rows - 2)
            lines = [*lines[: rows - 2], "... and {} lines more, at the end".format(hidden)]
        self._write([line[:columns] for line in lines])

    def draw_last(self, lines: Sequence[str]) -> None:
        """Draw *lines* instead, whole and for good: what does not fit scrolls away."""
        self._write(lines)

    def _write(self, lines: Sequence[str]) -> None:
        self._stream.write(HOME_AND_CLEAR + "\n".join(lines) + "\n")
        self._stream.flush()

    async def keep_drawing(self) -> None:
        """Draw twice a second, until cancelled."""
        while True:
            self.draw()
            await asyncio.sleep(REDRAW_S)


def _size(stream: TextIO) -> os.terminal_size:
    try:
        size = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = os.terminal_size((0, 0))
    return os.terminal_size((size.columns or 80, size.lines or 24))
