"""Reaches one battery through BlueZ: which adapter, scan or not, connect, and why not.

The connect itself is asked of BlueZ here and not left to bleak, for four facts (bluetoothd 5.66, bleak 0.22 and 3.1):
bleak repeats an aborted connect by itself and can hang in that; it takes what it remembers of a bluetoothd that was
killed for true; it mistakes a connect that is answered before ``Connected`` changed for a failure; and what it raises
tells one failure from another by its text only.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Optional, Sequence

from adapters.ble import gatt
from adapters.ble.broker import AdapterBroker, look, usable
from adapters.clock import Clock
from adapters.dbus.bluez import Adapter, Bluez, BluezGone, BluezHangs, BluezRefused, Device, Snapshot
from adapters.deadline import within
from adapters.radio import Link, LinkDropped, Radio
from core.link_causes import (
    ABORTED,
    ADAPTER_GONE,
    ADAPTER_OFF,
    BLUEZ_GONE,
    CONNECT_FAILED,
    CONNECT_TIMEOUT,
    DROPPED,
    HELD,
    NOT_FOUND,
    NOT_RESOLVED,
    PAIRING,
    RADIO_BUSY,
    SILENT,
    WRITE_FAILED,
)
from core.protocols import Protocol

log = logging.getLogger(__name__)

FIND_S = 10.0
CONNECT_S = 12.0
REACH_S = 45.0
"""Hard end of everything from looking for the battery to its notifications, whatever hangs."""
CONNECTED_S = 3.0
"""bluetoothd may answer a connect before it says that the device is connected."""
HANG_UP_S = 5.0
LOOK_S = 0.2
SETTLE_S = 0.5
"""A connect within 50 ms of a disconnect ends in an I/O error."""

_NOT_OURS = "connected, and not by this program"
_PAIRING = ("AuthenticationFailed", "AuthenticationRejected", "NotAuthorized", "NotPermitted")
_MAY_BE_DEEPER = (
    NOT_FOUND, CONNECT_TIMEOUT, ABORTED, CONNECT_FAILED, NOT_RESOLVED, DROPPED, WRITE_FAILED, SILENT,
)  # fmt: skip
_VANISHED = ("UnknownObject", "UnknownMethod", "DoesNotExist")


class BluezRadio(Radio):
    """Reaches the battery at *address* over one of *adapters* (names or addresses; empty: any)."""

    def __init__(
        self,
        address: str,
        protocol: Protocol,
        *,
        bluez: Bluez,
        broker: AdapterBroker,
        clock: Clock,
        adapters: Sequence[str] = (),
        may_be_left_over: bool = True,
    ) -> None:
        """*may_be_left_over*: a connection that is there before the first one here is nobody's, and may be closed."""
        self._address = address
        self._protocol = protocol
        self._bluez = bluez
        self._broker = broker
        self._clock = clock
        self._wanted = tuple(adapters)
        self._place = 0
        self._without_scan = False
        self._may_be_left_over = may_be_left_over
        """Whether a connection that is there already may be ours: of a former process, or one that was not closed."""
        self._last: Optional[Adapter] = None

    async def connect(self) -> Link:
        """See :class:`Radio`. Waiting for other batteries is not part of any deadline."""
        snapshot = await look(self._bluez)
        choices = usable(snapshot, self._wanted)
        self.choices = len(choices)
        self._last = adapter = choices[self._place % len(choices)]
        if snapshot.connected(self._address):
            await self._close_leftover(snapshot)  # takes seconds, and needs no turn
        self._may_be_left_over = False
        async with self._broker.turn(adapter):
            reaching = asyncio.ensure_future(self._reach(adapter))
            try:
                link = await within(self._clock, reaching, REACH_S)
            except asyncio.TimeoutError:
                raise LinkDropped(CONNECT_TIMEOUT, "over {}".format(adapter)) from None
            except asyncio.CancelledError:
                if reaching.done() and not reaching.cancelled() and reaching.exception() is None:
                    await reaching.result().close()  # it was made in the moment in which nobody wanted it any more
                raise
        self._without_scan, self._may_be_left_over = True, False
        return link

    async def _reach(self, adapter: Adapter) -> Link:
        snapshot = await look(self._bluez)
        now = snapshot.adapter(adapter.address)
        if now is None:
            raise LinkDropped(ADAPTER_GONE, str(adapter))
        adapter = now  # plugged in again while others had their turn, it may have another name
        if snapshot.connected(self._address):
            raise LinkDropped(HELD, _NOT_OURS)
        found = await self._found(adapter, snapshot.device(adapter, self._address))
        self._without_scan = False
        self._may_be_left_over = True  # from here on BlueZ may connect it, however late
        try:
            await self._connect(adapter, found.path)
            return await self._opened(adapter, found)
        except asyncio.CancelledError:
            await self._hang_up(found.path)  # BlueZ would go on, and the battery be connected to nobody
            raise

    async def _opened(self, adapter: Adapter, found: gatt.Found) -> Link:
        link = gatt.GattLink(found, self._protocol, self._clock, str(adapter))
        unwatch = self._bluez.on_gone(lambda: link.inbox.fail(LinkDropped(BLUEZ_GONE)))  # bleak never notices

        def closed(hung_up: bool) -> None:
            unwatch()
            self._may_be_left_over |= not hung_up

        link.on_closed = closed
        try:
            await link.open()
        except BaseException:
            await link.close()
            raise
        return link

    async def _close_leftover(self, snapshot: Snapshot) -> None:
        """Close a connection that nobody uses any more, unless it is somebody's."""
        if not self._may_be_left_over:
            raise LinkDropped(HELD, _NOT_OURS)
        log.info("%s: closing a connection that was left over", self._address)
        for device in snapshot.connected(self._address):
            if not await self._hang_up(device.path):
                raise LinkDropped(CONNECT_FAILED, "a connection that was left over does not close")
        await self._clock.sleep(SETTLE_S)

    async def _found(self, adapter: Adapter, device: Optional[Device]) -> gatt.Found:
        """The battery in reach: without a scan right after a good link, if BlueZ still knows it."""
        if device is not None and self._without_scan:
            return self._known(adapter, device)
        try:
            found = await gatt.find(self._address, adapter.name, self._clock, FIND_S)
        except gatt.ScanRefused as refused:
            if refused.name == "NotReady":
                raise LinkDropped(ADAPTER_OFF, str(adapter)) from None
            if refused.name != "InProgress":
                raise LinkDropped(CONNECT_FAILED, "scan: {}".format(refused)) from None
            return await self._heard_by_others(adapter)
        if found is None:
            raise LinkDropped(NOT_FOUND, "{} does not advertise, as {} hears".format(self._address, adapter))
        return found

    async def _heard_by_others(self, adapter: Adapter) -> gatt.Found:
        """BlueZ refuses a scan. If it is because it scans already, the battery turns up all the same."""
        end_us = self._clock.uptime_us() + int(FIND_S * 1e6)
        scanned = False
        while self._clock.uptime_us() < end_us:
            snapshot = await look(self._bluez)
            now = snapshot.adapter(adapter.address)
            device = snapshot.device(adapter, self._address)
            if device is not None:
                return self._known(adapter, device)
            scanned = scanned or bool(now and now.discovering)
            if not scanned:
                raise LinkDropped(RADIO_BUSY, "{} is not scanning for anybody".format(adapter))
            await self._clock.sleep(1)
        raise LinkDropped(NOT_FOUND, "{} does not advertise, as {} hears".format(self._address, adapter))

    def _known(self, adapter: Adapter, device: Device) -> gatt.Found:
        return gatt.known(device.path, adapter.path, device.address, device.name)

    async def _connect(self, adapter: Adapter, path: str) -> None:
        try:
            await within(self._clock, self._bluez.connect(path, REACH_S), CONNECT_S)
        except (asyncio.TimeoutError, BluezHangs):
            await self._hang_up(path)  # ends the attempt that is under way
            raise LinkDropped(CONNECT_TIMEOUT, "over {}".format(adapter)) from None
        except BluezGone as gone:
            raise LinkDropped(BLUEZ_GONE, str(gone)) from None
        except BluezRefused as refused:
            raise LinkDropped(_cause_of(refused), str(refused)) from None
        end_us = self._clock.uptime_us() + int(CONNECTED_S * 1e6)
        while not (await look(self._bluez)).connected(self._address):
            if self._clock.uptime_us() >= end_us:
                raise LinkDropped(ABORTED, "the connection was gone again at once")
            await self._clock.sleep(LOOK_S)

    async def _hang_up(self, path: str) -> bool:
        """Have BlueZ close the connection; whether it said in time that it did."""
        with contextlib.suppress(BluezRefused, BluezGone, BluezHangs):
            await self._bluez.disconnect(path)
            end_us = self._clock.uptime_us() + int(HANG_UP_S * 1e6)
            while self._clock.uptime_us() < end_us:
                if not (await self._bluez.snapshot()).connected(self._address):
                    return True
                await self._clock.sleep(LOOK_S)
        return False

    async def diagnose(self, dropped: LinkDropped) -> LinkDropped:
        """See :class:`Radio`. What looks like the battery may be the end of the adapter, or of bluetoothd."""
        if dropped.cause not in _MAY_BE_DEEPER or self._last is None:
            return dropped
        try:
            usable(await look(self._bluez), [self._last.address])
        except LinkDropped as reason:
            return reason
        return dropped

    async def forget(self) -> None:
        """See :class:`Radio`."""
        if self._last is None:
            return
        with contextlib.suppress(BluezRefused, BluezGone, BluezHangs):
            device = (await self._bluez.snapshot()).device(self._last, self._address)
            if device is not None and not device.connected:
                await self._bluez.forget(self._last.path, device.path)

    def next_adapter(self) -> None:
        """See :class:`Radio`."""
        self._place += 1
        self._without_scan = False


def _cause_of(refused: BluezRefused) -> str:
    """The named cause of what BlueZ answered to a connect."""
    if "abort" in refused.text:
        return ABORTED
    if refused.name in _VANISHED:
        return NOT_FOUND
    if refused.name in _PAIRING:
        return PAIRING
    return ADAPTER_OFF if refused.name == "NotReady" else CONNECT_FAILED
