"""What is in the air: listens on several adapters at the same time, and tells why it cannot.

Nothing is connected, and what was heard is not kept.
"""

from __future__ import annotations

import asyncio
from typing import Callable, Optional, Sequence

from adapters.ble import gatt
from adapters.clock import Clock
from adapters.dbus.bluez import Adapter, Bluez
from adapters.deadline import within
from adapters.radio import LinkDropped
from core.link_causes import ADAPTER_OFF, BLUEZ_GONE, BLUEZ_HANGS, RADIO_BUSY, UNKNOWN
from core.protocols.base import Advertisement

START_S = 10.0
"""How long bluetoothd may take to begin and to end a scan."""

Heard = Callable[[str, Advertisement, Optional[str]], None]
"""Told the adapter (``hci0``), what a device says of itself, and the type of its address."""


async def listen_on(
    adapters: Sequence[Adapter],
    seconds: float,
    *,
    heard: Heard,
    refused: Callable[[LinkDropped], None],
    bluez: Bluez,
    clock: Clock,
) -> None:
    """Tell *heard* of every advertisement for so long, and *refused* of each adapter that does not listen.

    Raises :class:`LinkDropped` when none of them listens, or when bluetoothd goes away.
    """
    gone = asyncio.get_event_loop().create_future()
    unwatch = bluez.on_gone(lambda: None if gone.done() else gone.set_result(None))
    refusals = []

    async def one(adapter: Adapter) -> None:
        try:
            await _listen(adapter, seconds, heard, clock)
        except LinkDropped as reason:
            refusals.append(reason)
            refused(reason)

    listening = [asyncio.ensure_future(one(adapter)) for adapter in adapters]
    everywhere = asyncio.gather(*listening)
    try:
        await asyncio.wait({everywhere, gone}, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise LinkDropped(BLUEZ_GONE, "it ended during the scan")
        everywhere.result()
    finally:
        unwatch()
        gone.cancel()
        for task in listening:
            task.cancel()
        await asyncio.gather(everywhere, *listening, return_exceptions=True)
    if len(refusals) == len(adapters):
        raise refusals[0]


async def _listen(adapter: Adapter, seconds: float, heard: Heard, clock: Clock) -> None:
    try:
        listening = gatt.listen(adapter.name, lambda *what: heard(adapter.name, *what), seconds)
        await within(clock, listening, seconds + START_S)
    except gatt.ScanRefused as refused:
        cause = {"NotReady": ADAPTER_OFF, "InProgress": RADIO_BUSY}.get(refused.name, UNKNOWN)
        detail = str(adapter) if cause != UNKNOWN else "{}: {}".format(adapter, refused)
        raise LinkDropped(cause, detail) from None
    except asyncio.TimeoutError:
        raise LinkDropped(BLUEZ_HANGS, "{} should scan".format(adapter)) from None
