"""One connection to a bus, with the known faults of dbus-next 0.2.3 answered in this one place.

* Two messages waiting on a full socket kill the connection: everything goes through one queue, one at a time, and the
  library never gets to send a reply of its own.
* Calls on a dead connection never return: every wait has a deadline, and :meth:`BusConnection.closed` tells of the end.
* Proxy objects introspect first and send match rules without waiting for the answer: here both are plain calls.
* The socket stays open after a disconnect: closed by hand.
* ``connect`` has no time-out. ``request_name`` queues silently. A caller that wants no reply gets one. An exception
  in a handler is sent to the caller with traceback and paths.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any, Callable, Dict, List, Mapping, Optional

from dbus_next import Message, MessageFlag, MessageType
from dbus_next.aio import MessageBus
from dbus_next.errors import AuthError, InvalidAddressError

from adapters.clock import wait_for
from adapters.dbus.address import BusUnavailable
from adapters.dbus.items_changed import ItemsChanged
from adapters.dbus.tree import Call, CallError, ServiceTree
from core.paths import Value

log = logging.getLogger(__name__)

CONNECT_S = 5.0
CALL_S = 10.0
SEND_S = 10.0
MAX_QUEUED = 20_000
"""Messages waiting to be sent; more means that the daemon has stopped reading."""

DAEMON = "org.freedesktop.DBus"
DO_NOT_QUEUE = 4
PRIMARY_OWNER = 1
ALREADY_OWNER = 4


_CONNECT_ERRORS = (OSError, EOFError, AuthError, InvalidAddressError, ValueError, OverflowError, asyncio.TimeoutError)


class ConnectionLost(Exception):
    """The bus went away, or did not answer in time."""


class NameTaken(Exception):
    """The bus name cannot be ours: another copy of this program owns it, or the bus does not allow it."""


class CallFailed(Exception):
    """A program on the bus answered with an error, or not in time."""


OnSignal = Callable[[Message], None]
"""Takes every signal that reaches this connection, in order. Anybody may send one: look at its sender."""


class BusConnection:
    """A connection that answers calls from *tree*. Open with :meth:`open`, always :meth:`close`."""

    def __init__(self, bus: MessageBus, tree: ServiceTree, on_signal: Optional[OnSignal] = None) -> None:
        self._bus = bus
        self._tree = tree
        self._on_signal = on_signal
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._calls: Dict[int, asyncio.Future[Message]] = {}
        self._gone = asyncio.Event()
        bus.add_message_handler(self._on_message)
        self._tasks = [asyncio.ensure_future(self._send_queued()), asyncio.ensure_future(self._watch())]

    @classmethod
    async def open(cls, address: str, tree: ServiceTree, on_signal: Optional[OnSignal] = None) -> BusConnection:
        """Raises :class:`BusUnavailable`."""
        bus = MessageBus.__new__(MessageBus)  # so that we hold it when its constructor fails to connect the socket
        try:
            bus.__init__(bus_address=address)  # type: ignore[misc]
            await asyncio.wait_for(bus.connect(), CONNECT_S)
        except _CONNECT_ERRORS as error:
            _close_socket(bus)
            reason = str(error) or type(error).__name__
            raise BusUnavailable("cannot connect to the D-Bus at {}: {}".format(address, reason)) from None
        return cls(bus, tree, on_signal)

    async def closed(self) -> None:
        """Return when the connection is gone."""
        await self._gone.wait()

    async def close(self) -> None:
        """Let go of the bus, and with it of every name. Who waits for an answer is told by :class:`ConnectionLost`."""
        self._gone.set()
        self._bus.disconnect()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        _close_socket(self._bus)

    async def request_name(self, name: str) -> None:
        """Claim *name*. Raises :class:`NameTaken` or :class:`ConnectionLost`."""
        reply = await self._call_daemon("RequestName", "su", [name, DO_NOT_QUEUE])
        if reply.message_type is MessageType.ERROR:
            raise NameTaken("the bus refuses the name {}: {}".format(name, _error_text(reply)))
        if reply.body[0] not in (PRIMARY_OWNER, ALREADY_OWNER):
            raise NameTaken("the bus name {} is taken; is another copy running?".format(name))

    async def release_name(self, name: str) -> None:
        """Give *name* back. Raises :class:`ConnectionLost`."""
        await self._call_daemon("ReleaseName", "s", [name])

    async def owner(self, name: str) -> Optional[str]:
        """The unique name of the connection that owns *name*. Raises :class:`ConnectionLost`."""
        reply = await self._call_daemon("GetNameOwner", "s", [name])
        return None if reply.message_type is MessageType.ERROR else reply.body[0]

    async def add_match(self, rule: str) -> None:
        """Have the signals of *rule* sent here. Raises :class:`BusUnavailable` or :class:`ConnectionLost`."""
        reply = await self._call_daemon("AddMatch", "s", [rule])
        if reply.message_type is MessageType.ERROR:
            raise BusUnavailable("the bus refuses a match rule: {}".format(_error_text(reply)))

    async def call(self, message: Message, timeout_s: float = CALL_S) -> Message:
        """The answer to the method call *message*. Raises :class:`CallFailed` or :class:`ConnectionLost`."""
        reply = await self.ask(message, timeout_s)
        if reply is None:
            raise CallFailed("no answer to {}".format(message.member))
        if reply.message_type is MessageType.ERROR:
            raise CallFailed("{} failed: {}".format(message.member, _error_text(reply)))
        return reply

    def signal_items_changed(self, items: Mapping[str, Value]) -> None:
        """Queue one ItemsChanged for *items*."""
        self._enqueue(ItemsChanged(items))

    def _enqueue(self, message: Message) -> None:
        if self._queue.qsize() >= MAX_QUEUED:
            self._gone.set()
            return
        self._queue.put_nowait(message)

    async def _call_daemon(self, member: str, signature: str, body: List[Any]) -> Message:
        message = Message(
            destination=DAEMON,
            path="/org/freedesktop/DBus",
            interface=DAEMON,
            member=member,
            signature=signature,
            body=body,
        )
        reply = await self.ask(message, CALL_S)
        if reply is None:
            raise ConnectionLost("no answer from the bus to {}".format(member))
        return reply

    async def ask(self, message: Message, timeout_s: float) -> Optional[Message]:
        """The reply, be it an error; ``None`` when there is none in time. Raises :class:`ConnectionLost`."""
        message.serial = self._bus.next_serial()
        future = asyncio.get_event_loop().create_future()
        self._calls[message.serial] = future
        self._enqueue(message)
        gone = asyncio.ensure_future(self._gone.wait())
        try:
            await asyncio.wait({future, gone}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            if future.done():
                return future.result()
            if gone.done():
                raise ConnectionLost("the bus went away before it answered {}".format(message.member))
            return None
        finally:
            gone.cancel()
            del self._calls[message.serial]

    async def _send_queued(self) -> None:
        while True:
            message = await self._queue.get()
            try:
                await wait_for(self._bus.send(message), SEND_S)
            except (OSError, EOFError, asyncio.TimeoutError):
                self._gone.set()
                return

    async def _watch(self) -> None:
        try:
            await self._bus.wait_for_disconnect()
        except (OSError, EOFError) as error:
            log.debug("the bus closed the connection: %s", error)
        finally:
            self._gone.set()

    def _on_message(self, message: Message) -> bool:
        """Take every call, signal and reply; what is returned true, dbus-next leaves alone."""
        if message.message_type is MessageType.METHOD_CALL:
            reply = self._reply(message)
            if not message.flags & MessageFlag.NO_REPLY_EXPECTED:
                self._enqueue(reply)
            return True
        if message.message_type is MessageType.SIGNAL:
            if self._on_signal is not None:
                self._on_signal(message)
            return True
        future = self._calls.get(message.reply_serial) if message.reply_serial else None
        if future is not None and not future.done():
            future.set_result(message)
        return future is not None

    def _reply(self, message: Message) -> Message:
        try:
            call = Call(message.path, message.interface, message.member, message.body)
            signature, body = self._tree.answer(call)
            return Message.new_method_return(message, signature, body)
        except CallError as error:
            return Message.new_error(message, error.name, error.text)


def _error_text(reply: Message) -> str:
    return str(reply.body[0]) if reply.body else str(reply.error_name)


def _close_socket(bus: MessageBus) -> None:
    """dbus-next shuts the socket down and leaves the descriptor open until garbage collection."""
    for name in ("_stream", "_sock"):
        resource = getattr(bus, name, None)
        if resource is not None:
            with contextlib.suppress(OSError):
                resource.close()


async def probe(address: str) -> None:
    """Whether there is a bus at *address*. Raises :class:`BusUnavailable`."""
    connection = await BusConnection.open(address, ServiceTree(lambda path, value: 1))
    await connection.close()
