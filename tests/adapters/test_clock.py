"""The clocks that pass by themselves."""

import asyncio

import pytest

from adapters.clock import AcceleratedClock, SystemClock


@pytest.mark.parametrize("clock", [SystemClock(), AcceleratedClock(10)])
@pytest.mark.parametrize("rounds", range(5))
async def test_a_cancellation_is_never_lost(clock, rounds):
    """Though what was waited for happens in the same moment: before Python 3.12 asyncio.wait_for goes on."""
    event = asyncio.Event()

    async def wait_for_ever():
        while True:
            await clock.wait_for(event.wait(), 1000)
            event.clear()

    task = asyncio.ensure_future(wait_for_ever())
    await asyncio.sleep(0.01)
    event.set()
    for _ in range(rounds):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task}, timeout=1)
    assert task.cancelled()


async def test_what_took_too_long_is_cancelled():
    """And has ended when the wait is over."""
    waited = asyncio.ensure_future(asyncio.sleep(1000))
    with pytest.raises(asyncio.TimeoutError):
        await SystemClock().wait_for(waited, 0.01)
    assert waited.cancelled()
