"""The ``scan`` command: what is in the air, which of it may be batteries, and whether they answer.

In a terminal the list is live; elsewhere there is one table at the end, or one JSON document. Ctrl-C ends what is under
way, listening or asking, and the result follows; a second one ends everything.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from argparse import Namespace
from io import TextIOWrapper
from typing import Any, Awaitable, Dict, List, Sequence, Set

from adapters.ble import AdapterBroker, BluezRadio, listen_on, look, usable
from adapters.clock import SystemClock
from adapters.dbus import Bluez, choose_address
from adapters.dbus.bluez import Adapter
from adapters.proof import PROOF_S, prove
from adapters.radio import LinkDropped
from core.link_causes import ADAPTER_GONE
from service import PROGRAM
from service.scan_list import ScanList, ScannedDevice
from service.scan_report import closing_lines, document
from service.scan_screen import ScanScreen
from service.scan_table import table, told

_REFUSED = "BlueZ refused"


async def scan_command(arguments: Namespace) -> int:
    """Listen, ask if so wanted, and show what came of it; 1 when nothing can be heard here."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # names come from the air, in letters that the terminal may not have
    bluez = Bluez(choose_address("system"))
    try:
        await Scan(arguments, bluez).run()
    except LinkDropped as dropped:
        print("{}: cannot scan: {}".format(PROGRAM, told(dropped, _REFUSED)), file=sys.stderr)
        return 1
    finally:
        await bluez.close()
    return 0


class Interrupts:
    """Ctrl-C: the first ends what is under way, the second the task that this was made in, the third the program."""

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._pressed = asyncio.Event()
        asyncio.get_event_loop().add_signal_handler(signal.SIGINT, self._on_signal)

    def _on_signal(self) -> None:
        if not self._pressed.is_set():
            self._pressed.set()
            return
        asyncio.get_event_loop().remove_signal_handler(signal.SIGINT)
        assert self._task is not None
        self._task.cancel()

    @property
    def hint(self) -> str:
        """What Ctrl-C does now."""
        return "Ctrl-C ends the program" if self._pressed.is_set() else "Ctrl-C ends it early"

    async def may_end(self, work: Awaitable[None]) -> None:
        """Do *work*, until the first Ctrl-C; if that has come before, to the end."""
        task = asyncio.ensure_future(work)
        waited: Set[asyncio.Future[Any]] = {task}
        if not self._pressed.is_set():
            waited.add(asyncio.ensure_future(self._pressed.wait()))
        try:
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            for each in waited:
                each.cancel()
            await asyncio.gather(*waited, return_exceptions=True)


class Scan:
    """One scan, from choosing the adapters to the result."""

    def __init__(self, arguments: Namespace, bluez: Bluez) -> None:
        self._arguments = arguments
        self._bluez = bluez
        self._clock = SystemClock()
        self._interrupts = Interrupts()
        self._found = ScanList()
        self._heading = ""
        self._ends_us = 0
        self._states: Dict[str, str] = {}
        self._notes: List[str] = []
        live = sys.stdout.isatty() and not arguments.json
        self._screen = ScanScreen(sys.stdout, self._lines) if live else None

    async def run(self) -> None:
        """Raises :class:`LinkDropped` when nothing can be heard here."""
        adapters = await self._adapters()
        self._begin("listening on {}".format(", ".join(map(str, adapters))), self._arguments.seconds)
        self._say("scanning for {:g} s ...".format(self._arguments.seconds))
        drawing = asyncio.ensure_future(self._screen.keep_drawing()) if self._screen else None
        try:
            await self._interrupts.may_end(self._listen(adapters))
            await self._look_again(adapters)
            if self._arguments.confirm:
                await self._interrupts.may_end(self._ask_all())
                self._states = dict.fromkeys(self._states, "not asked to the end")
        finally:
            if drawing is not None:
                drawing.cancel()
                await asyncio.gather(drawing, return_exceptions=True)
        self._show_result()

    async def _adapters(self) -> List[Adapter]:
        wanted = [self._arguments.adapter] if self._arguments.adapter else []
        snapshot = await look(self._bluez)
        try:
            adapters = usable(snapshot, wanted)
        except LinkDropped as dropped:
            if dropped.cause != ADAPTER_GONE:
                raise
            there = ", ".join(map(str, snapshot.adapters))
            detail = "{}; there is {}".format(wanted[0], there) if there else "none at all"
            raise LinkDropped(ADAPTER_GONE, detail) from None
        self._found.take(snapshot, [adapter.name for adapter in adapters])
        return adapters

    async def _listen(self, adapters: Sequence[Adapter]) -> None:
        await listen_on(
            adapters,
            self._arguments.seconds,
            heard=self._found.hear,
            refused=self._note_refusal,
            bluez=self._bluez,
            clock=self._clock,
        )

    def _note_refusal(self, reason: LinkDropped) -> None:
        self._notes.append("one adapter does not listen: " + told(reason, _REFUSED))

    async def _look_again(self, adapters: Sequence[Adapter]) -> None:
        """Who is in use by now; and if nothing was heard, whether the adapters were there to the end."""
        try:
            snapshot = await look(self._bluez)
            self._found.take(snapshot, ())
            usable(snapshot, [adapter.address for adapter in adapters])
        except LinkDropped:
            if not self._found.devices:
                raise

    async def _ask_all(self) -> None:
        """Ask every device that looks like a battery and is free, one after the other."""
        asked = [device for device in self._found.supported if not device.in_use]
        self._states.update({device.address: "not asked yet" for device in asked})
        broker = AdapterBroker()
        for number, device in enumerate(asked, 1):
            self._begin("asking {} of {}".format(number, len(asked)), PROOF_S)
            self._say("{}: {} ...".format(self._heading, device.address))
            self._states[device.address] = "being asked ..."
            await self._ask(device, broker)

    async def _ask(self, device: ScannedDevice, broker: AdapterBroker) -> None:
        assert device.protocol is not None
        radio = BluezRadio(
            device.address,
            device.protocol,
            bluez=self._bluez,
            broker=broker,
            clock=self._clock,
            adapters=device.adapters,
            may_be_left_over=False,
        )
        try:
            device.answer = await prove(device.address, device.protocol, radio, self._clock)
        except LinkDropped as dropped:
            device.answer = dropped

    def _begin(self, heading: str, seconds: float) -> None:
        """What stands above the list from now on, with the time that is left."""
        self._heading = heading
        self._ends_us = self._clock.uptime_us() + int(seconds * 1e6)

    def _say(self, text: str) -> None:
        """Progress, where there is no live list."""
        if self._arguments.json:
            if sys.stderr.isatty():
                print(text, file=sys.stderr, flush=True)
        elif self._screen is None:
            print(text, flush=True)

    def _lines(self) -> List[str]:
        """What the live list shows."""
        left_s = max(0.0, (self._ends_us - self._clock.uptime_us()) / 1e6)
        heading = "{}, {}{:.0f} s left; ".format(self._heading, "at most " if self._states else "", left_s)
        return [heading + self._interrupts.hint, "", *table(self._found.devices, self._states)]

    def _show_result(self) -> None:
        devices, confirmed_only = self._found.devices, self._arguments.confirm
        if self._arguments.json:
            for note in self._notes:
                print(note, file=sys.stderr)
            print(document(devices, confirmed_only=confirmed_only))
            return
        closing = closing_lines(devices, confirmed_only=confirmed_only)
        lines = [*table(devices, self._states), *self._notes, *([""] if devices else []), *closing]
        if self._screen is not None:
            self._screen.draw_last(lines)
        else:
            print("\n".join(lines))
