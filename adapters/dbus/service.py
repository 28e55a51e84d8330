"""Keeps one service on the bus as the grid wants it: all paths first, then the name; changed items only; back again
with the same name after the bus went away.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Dict, Mapping

from adapters.dbus.address import BusUnavailable
from adapters.dbus.connection import BusConnection, ConnectionLost, NameTaken
from adapters.dbus.tree import ServiceTree, Write
from core.paths import Value
from core.service_view import CHANGED, JOINED, LEFT, Publication

log = logging.getLogger(__name__)

RECONNECT_S = (0.5, 1.0, 2.0, 4.0)


class BusService:
    """One battery on the bus, over a connection of its own: object paths belong to a connection, not to a name."""

    def __init__(self, name: str, address: str, write: Write) -> None:
        self.name = name
        self._address = address
        self._tree = ServiceTree(write)
        self._wanted = self._leaving = False
        self._free = asyncio.Event()  # set while the name is not ours
        self._free.set()
        self._has_been_connected = self._has_been_up = False
        self._changes: Dict[str, Value] = {}
        self._beside: Dict[str, Value] = {}
        self._beside_changes: Dict[str, Value] = {}
        self._told_s = -1  # the last tick that something was told for
        self._news = asyncio.Event()

    def publish(self, publication: Publication) -> None:
        """Take over what the grid decided; :meth:`run` carries it out."""
        if publication.change == JOINED:
            self._tree.replace({**publication.items, **self._beside})
            self._wanted, self._changes = True, dict(publication.items)
            self._beside_changes.clear()
        elif publication.change == CHANGED:
            self._tree.update(publication.items)
            self._changes.update(publication.items)
        elif publication.change == LEFT:
            self._wanted, self._leaving = False, True  # also when it joins again before the bus has had its turn
        self._tell(publication.uptime_s)

    def put(self, items: Mapping[str, Value]) -> None:
        """Values that are not the grid's: they can be read at once and are told at the next tick.

        They stay while the service is away, and are there again when it joins.
        """
        changed = {path: value for path, value in items.items() if (path, value) not in self._beside.items()}
        self._beside.update(changed)
        if self._wanted:
            self._tree.update(changed)
            self._beside_changes.update(changed)

    def tick(self, uptime_s: int) -> None:
        """The grid has published all it had for this tick: tell what was :meth:`put`, if nothing took it along."""
        if self._beside_changes and uptime_s > self._told_s:
            self._tell(uptime_s)

    def _tell(self, uptime_s: int) -> None:
        self._told_s = uptime_s
        self._changes.update(self._beside_changes)
        self._beside_changes.clear()
        self._news.set()

    async def run(self) -> None:
        """Serve for ever.

        Raises :class:`BusUnavailable` only before the first connection and :class:`NameTaken` only before the name was
        ours: later either is a passing trouble of the bus.
        """
        attempt = 0
        while True:
            try:
                await self._one_connection()
                attempt = 0
            except (BusUnavailable, NameTaken) as error:
                if not (self._has_been_up if isinstance(error, NameTaken) else self._has_been_connected):
                    raise
                if attempt == 0:
                    log.warning("%s: %s; trying again", self.name, error)
            await asyncio.sleep(RECONNECT_S[min(attempt, len(RECONNECT_S) - 1)])
            attempt += 1

    async def _one_connection(self) -> None:
        connection = await BusConnection.open(self._address, self._tree)
        self._has_been_connected = True
        closed = asyncio.ensure_future(connection.closed())
        try:
            self._news.set()
            while not closed.done():
                news = asyncio.ensure_future(self._news.wait())
                try:
                    await asyncio.wait({news, closed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    news.cancel()
                if not closed.done():
                    self._news.clear()
                    await self._carry_out(connection)
            log.warning("%s: the bus went away", self.name)
        except ConnectionLost as lost:
            log.warning("%s: %s", self.name, lost)
        finally:
            closed.cancel()
            self._free.set()
            await connection.close()

    async def _carry_out(self, connection: BusConnection) -> None:
        leaving, self._leaving = self._leaving, False
        if self._owned and leaving:
            await connection.release_name(self.name)
            self._free.set()
        if self._wanted and not self._owned:
            self._changes.clear()
            await connection.request_name(self.name)
            self._has_been_up = True
            self._free.clear()
        if self._owned and self._changes:
            changes, self._changes = self._changes, {}
            connection.signal_items_changed(changes)

    @property
    def _owned(self) -> bool:
        return not self._free.is_set()

    async def wait_released(self) -> None:
        """Return when the name is not ours."""
        await self._free.wait()
