"""The live picture in a terminal: redrawn in place once a second, plain text everywhere else."""

from __future__ import annotations

import asyncio
import json
from typing import Callable, Dict, List, Sequence, TextIO, Tuple

from core.paths import Value, text_of
from service.outputs import Picture, ShownService, raised_alarms

REDRAW_S = 1.0
HOME_AND_CLEAR = "\x1b[H\x1b[2J"
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
        self._stream.write(HOME_AND_CLEAR + "\n".join(self.lines()) + "\n")
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
        *_alert_lines(items),
        *_limit_lines(items),
        _INDENT
        + "charge {}  discharge {}  alarms: {}".format(
            _switch(items.get("/Io/AllowToCharge")),
            _switch(items.get("/Io/AllowToDischarge")),
            ", ".join(raised_alarms(items)) or "none",
        ),
    ]


def _alert_lines(items: Dict[str, Value]) -> List[str]:
    """The alerts of the cell monitor that are open."""
    data = items.get("/CellMonitor/Data")
    alerts = json.loads(data)["recent_alerts"] if isinstance(data, str) else []
    text = _INDENT + "ALERT  battery {battery_id}: {type} {spread:.3f}V (min {min:.3f}V, max {max:.3f}V)"
    return [text.format(**alert) for alert in alerts if alert["closed"] is None]


def _limit_lines(items: Dict[str, Value]) -> List[str]:
    """The limits that Venus OS obeys, each with its reason."""
    if "/Info/MaxChargeVoltage" not in items:
        return []
    shown = (
        ("CVL", "/Info/MaxChargeVoltage", "/Info/ChargeMode"),
        ("CCL", "/Info/MaxChargeCurrent", "/Info/ChargeLimitation"),
        ("DCL", "/Info/MaxDischargeCurrent", "/Info/DischargeLimitation"),
    )
    return ["{}{} {:>8}  {}".format(_INDENT, name, text_of(path, items.get(path)), items.get(why) or "")
            for name, path, why in shown]  # fmt: skip


def _switch(value: Value) -> str:
    return "---" if value is None else "on" if value else "OFF"


def _cell_lines(items: Dict[str, Value]) -> List[str]:
    """The cells of each battery in rows: ``*`` balancing, ``^`` highest, ``v`` lowest of all."""
    cells = [_cells_of(items, number) for number in range(1, _count(items, "/Battery/{}/Serial") + 1)]
    known = [voltage for voltages in cells for voltage, _ in voltages if isinstance(voltage, float)]
    lines: List[str] = []
    for number, voltages in enumerate(cells, 1):
        texts = []
        for cell, (voltage, balancing) in enumerate(voltages, 1):
            mark = " " if voltage is None else "^" if voltage == max(known) else "v" if voltage == min(known) else " "
            text = text_of("/Voltages/Cell1", voltage).rstrip("V")
            texts.append("{:>3} {}{}{}".format("C{}".format(cell), text, mark, "*" if balancing else " "))
        name = "B{} ".format(number) if len(cells) > 1 else ""
        for row in range(0, len(texts), _CELLS_PER_LINE):
            lines.append(_INDENT + name + " ".join(texts[row : row + _CELLS_PER_LINE]))
            name = " " * len(name)
    if lines:
        lines[-1] += "  spread {}".format(text_of("/Voltages/Diff", items.get("/Voltages/Diff")))
    return lines


def _count(items: Dict[str, Value], path: str) -> int:
    count = 0
    while path.format(count + 1) in items:
        count += 1
    return count


def _cells_of(items: Dict[str, Value], number: int) -> List[Tuple[Value, Value]]:
    """Voltage of each cell of a battery, and whether it balances."""
    count = _count(items, "/Battery/{}/Cell/{{}}/Voltage".format(number))
    before = sum(_count(items, "/Battery/{}/Cell/{{}}/Voltage".format(n)) for n in range(1, number))
    cells = []
    for cell in range(1, count + 1):
        in_parallel = "/Balances/Cell{}X{}".format(number, cell)
        balance = in_parallel if in_parallel in items else "/Balances/Cell{}".format(before + cell)
        cells.append((items["/Battery/{}/Cell/{}/Voltage".format(number, cell)], items.get(balance)))
    return cells
