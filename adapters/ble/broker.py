"""Who may use which Bluetooth adapter now, and which one a battery should use."""

from __future__ import annotations

import asyncio
from typing import Dict, List, Sequence

from adapters.dbus.bluez import Adapter, Snapshot
from adapters.radio import LinkDropped
from core.link_causes import ADAPTER_GONE, ADAPTER_OFF


class AdapterBroker:
    """One connect or scan at a time on each adapter: two at once disturb each other (bleak issues 1489 and 1806)."""

    def __init__(self) -> None:
        self._turns: Dict[str, asyncio.Lock] = {}

    def turn(self, adapter: Adapter) -> asyncio.Lock:
        """Held by whoever connects or scans; first come, first served."""
        return self._turns.setdefault(adapter.address, asyncio.Lock())


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
