"""Who may use which Bluetooth adapter now, and which one a battery should use; and why there is none."""

from __future__ import annotations

import asyncio
from typing import Dict, List, Sequence

from adapters.dbus.bluez import Adapter, Bluez, BluezGone, BluezHangs, BluezRefused, Snapshot
from adapters.radio import LinkDropped
from core.link_causes import ADAPTER_GONE, ADAPTER_OFF, BLUEZ_GONE, BLUEZ_HANGS, CONNECT_FAILED


class AdapterBroker:
    """One connect or scan at a time on each adapter: two at once disturb each other (bleak issues 1489 and 1806)."""

    def __init__(self) -> None:
        self._turns: Dict[str, asyncio.Lock] = {}

    def turn(self, adapter: Adapter) -> asyncio.Lock:
        """Held by whoever connects or scans; first come, first served."""
        return self._turns.setdefault(adapter.address, asyncio.Lock())


async def look(bluez: Bluez) -> Snapshot:
    """What BlueZ knows now. Raises :class:`LinkDropped` when it does not say."""
    try:
        return await bluez.snapshot()
    except BluezGone as gone:
        raise LinkDropped(BLUEZ_GONE, str(gone)) from None
    except BluezHangs as hangs:
        raise LinkDropped(BLUEZ_HANGS, str(hangs)) from None
    except BluezRefused as refused:
        raise LinkDropped(CONNECT_FAILED, str(refused)) from None


def usable(snapshot: Snapshot, wanted: Sequence[str]) -> List[Adapter]:
    """The adapters of *wanted* (names or addresses, in order of preference; empty: any) that are there and switched on.

    Raises :class:`LinkDropped` when there is none.
    """
    there = [adapter for want in wanted for adapter in snapshot.adapters if _is(adapter, want)]
    there = there if wanted else list(snapshot.adapters)
    if not there:
        raise LinkDropped(ADAPTER_GONE, ", ".join(wanted) or "no Bluetooth adapter")
    powered = [adapter for adapter in there if adapter.powered]
    if not powered:
        raise LinkDropped(ADAPTER_OFF, ", ".join(map(str, there)))
    return powered


def _is(adapter: Adapter, wanted: str) -> bool:
    return wanted.upper().replace("-", ":") in (adapter.name.upper(), adapter.address.upper())
