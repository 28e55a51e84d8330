"""The live picture in a terminal: redrawn in place once a second, plain text everywhere else."""

from __future__ import annotations

import asyncio
from typing import Callable, Dict, List, Sequence, TextIO, Tuple

from core.paths import Value, text_of
from service.outputs import Picture, ShownService, raised_alarms

REDRAW_S = 1.0
_HOME_AND_CLEAR = "\x1b[H\x1b[2J"
_CELLS_PER_LINE = 8
_INDENT = "  "

Facts = Sequence[Tuple[str, str]]
"""Label and text of the lines at the top."""


class StatusScreen:
    """Draws a :class:`Picture` on *stream*, below the lines that *facts* gives at that moment."""

    def __init__(self, stream: TextIO, picture: Picture, facts: Callable[[], Facts]) -> None:
        self._stream = stream
        self._picture = picture
        self._facts = facts

    def draw(self) -> None:
        """Draw everything afresh."""
        self._stream.write(_HOME_AND_CLEAR + "\n".join(self.lines()) + "\n")
        self._stream.flush()

    async def keep_drawing(self) -> None:
        """Draw once a second, until cancelled."""
        while True:
            self.draw()
            await asyncio.sleep(REDRAW_S)

    def lines(self) -> List[str]:
        """What is drawn."""
        lines = ["{:<9} {}".format(label, text) for label, text in self._facts()]
        services = self._picture.services.values()
        if not services:
            lines += ["", "waiting for the first complete answer of a battery"]
        for shown in services:
            lines += [""] + service_lines(shown)
        return lines


def service_lines(shown: ShownService) -> List[str]:
    """One battery in a few lines."""
    items = shown.items
    head = "{}  {}".format(shown.name.rpartition(".")[2], shown.phase)
    if not items:
        return [head + "  (not on the bus)"]
    texts = {path: text_of(path, value) for path, value in items.items()}
    name = items.get("/CustomName") or items.get("/HardwareVersion") or items.get("/ProductName")
    return [
        "{}  {}  {}".format(head, name, texts["/ConnectionInformation"]),
        _INDENT
        + "{:>9} {:>10} {:>8}   SoC {:>6}   {} of {}   {}".format(
            texts["/Dc/0/Voltage"],
            texts["/Dc/0/Current"],
            texts["/Dc/0/Power"],
            texts["/Soc"],
            texts["/Capacity"],
            texts["/InstalledCapacity"],
            texts["/Dc/0/Temperature"],
        ),
        *_cell_lines(items),
        _INDENT
        + "charge {}  discharge {}  alarms: {}".format(
            _switch(items.get("/Io/AllowToCharge")),
            _switch(items.get("/Io/AllowToDischarge")),
            ", ".join(raised_alarms(items)) or "none",
        ),
    ]


def _switch(value: Value) -> str:
    return "---" if value is None else "on" if value else "OFF"


def _cell_lines(items: Dict[str, Value]) -> List[str]:
    """Cells in rows: ``*`` balancing, ``^`` highest, ``v`` lowest."""
    highest, lowest = items.get("/System/MaxVoltageCellId"), items.get("/System/MinVoltageCellId")
    cells = []
    number = 1
    while "/Voltages/Cell{}".format(number) in items:
        path = "/Voltages/Cell{}".format(number)
        name = "C{}".format(number)
        mark = "^" if name == highest else "v" if name == lowest else " "
        balancing = "*" if items.get("/Balances/Cell{}".format(number)) else " "
        cells.append("{:>3} {}{}{}".format(name, text_of(path, items[path]).rstrip("V"), mark, balancing))
        number += 1
    rows = [cells[n : n + _CELLS_PER_LINE] for n in range(0, len(cells), _CELLS_PER_LINE)]
    lines = [_INDENT + " ".join(row) for row in rows]
    if lines:
        lines[-1] += "  spread {}".format(text_of("/Voltages/Diff", items.get("/Voltages/Diff")))
    return lines
