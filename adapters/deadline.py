"""Hard ends: a wait that is over when its time is over, whatever the library below is doing."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Awaitable, Set, TypeVar

from adapters.clock import Clock

log = logging.getLogger(__name__)

T = TypeVar("T")

GRACE_S = 2.0
"""How long something that was cancelled may take to clean up, in real time, before it is left to itself."""

_abandoned: Set[asyncio.Future[Any]] = set()


async def within(clock: Clock, waited: Awaitable[T], seconds: float) -> T:
    """The result of *waited*. Raises :class:`asyncio.TimeoutError` after *seconds* and cancels it.

    Unlike :func:`asyncio.wait_for` it does not wait for ever for something that will not be cancelled, such as a call
    to a bluetoothd that hangs.
    """
    task = asyncio.ensure_future(waited)
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({task, timer}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise asyncio.TimeoutError
    finally:
        timer.cancel()
        if not task.done():
            await _end(task)
        await asyncio.gather(timer, return_exceptions=True)


async def _end(task: asyncio.Future[Any]) -> None:
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=GRACE_S)
    finally:
        if task.done():
            _retrieve(task)
        else:
            log.debug("something that hangs is left to itself")
            _abandoned.add(task)
            task.add_done_callback(_abandoned.discard)
            task.add_done_callback(_retrieve)


def _retrieve(task: asyncio.Future[Any]) -> None:
    """Nobody asks for this result any more."""
    if not task.cancelled():
        task.exception()
