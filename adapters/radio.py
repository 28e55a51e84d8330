"""The seam between a battery and the rest: something that takes writes and yields notifications.

Behind it stand bleak, the simulated battery and a recorded session alike; everything in front is the same program.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections import deque
from typing import Deque, Optional

from adapters.clock import Clock

MAX_WAITING = 1000
"""Notifications kept for a reader that does not come; far beyond one answer, so more of them is noise."""


class LinkDropped(Exception):
    """The connection is gone, or could not be made. *cause* is short and stable, *detail* is for people."""

    def __init__(self, cause: str, detail: str = "") -> None:
        self.cause, self.detail = cause, detail
        super().__init__("{}: {}".format(cause, detail) if detail else cause)


class Inbox:
    """Notifications in order. Callbacks put in, one reader takes out; nothing is lost by a time-out."""

    def __init__(self) -> None:
        self._waiting: Deque[bytes] = deque(maxlen=MAX_WAITING)
        self.failure: Optional[LinkDropped] = None
        """Why the link is gone, once it is."""
        self._changed = asyncio.Event()

    def put(self, notification: bytes) -> None:
        """Add one notification."""
        self._waiting.append(bytes(notification))
        self._changed.set()

    def fail(self, failure: LinkDropped) -> None:
        """The link is gone: what has arrived can still be taken, then *failure* is raised."""
        self.failure = self.failure or failure
        self._changed.set()

    async def get(self, clock: Clock, seconds: float) -> Optional[bytes]:
        """The next notification, or ``None`` when none came in time. Raises :class:`LinkDropped`."""
        if not self._waiting and self.failure is None and seconds > 0:
            self._changed.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                await clock.wait_for(self._changed.wait(), seconds)
        if self._waiting:
            return self._waiting.popleft()
        if self.failure is not None:
            raise self.failure
        return None


class Link(ABC):
    """An open connection to one battery, notifications switched on."""

    def __init__(self, name: Optional[str] = None, adapter: Optional[str] = None) -> None:
        self.name = name
        """What the device advertises as its name."""
        self.adapter = adapter
        """The Bluetooth adapter that it goes over, by name and address."""
        self.inbox = Inbox()

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Send one request. Raises :class:`LinkDropped`."""

    @abstractmethod
    async def close(self) -> None:
        """Hang up; never raises. The battery can then be reached by others."""


class Radio(ABC):
    """Reaches one battery."""

    choices = 1
    """How many adapters could reach it, when it was last tried."""

    @abstractmethod
    async def connect(self) -> Link:
        """A new connection, or :class:`LinkDropped` with the cause; it ends by itself whatever the radio waits for."""

    async def diagnose(self, dropped: LinkDropped) -> LinkDropped:
        """*dropped* with the best cause that is known now, a moment after it happened."""
        return dropped

    async def forget(self) -> None:  # noqa: B027 - most have nothing to forget
        """Forget what the radio remembers of the battery: it may be wrong. Never raises."""

    def next_adapter(self) -> None:  # noqa: B027 - most have but one
        """Try another adapter from now on."""
