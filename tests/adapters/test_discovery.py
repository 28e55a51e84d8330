"""Listening on several adapters: what one of them refuses does not end the others."""

import asyncio

import pytest

from adapters.ble import gatt, listen_on
from adapters.clock import SystemClock
from adapters.dbus.bluez import Adapter
from adapters.radio import LinkDropped
from core.protocols.base import Advertisement

ADAPTERS = [Adapter("/org/bluez/hci{}".format(n), "hci{}".format(n), "00:0{}".format(n), True, False) for n in (0, 1)]


class SilentBluez:
    """Never goes."""

    def on_gone(self, listener):
        return lambda: None


async def _listen(monkeypatch, refusing):
    """What was heard, and what was refused, when the adapters of *refusing* refuse with that error."""
    heard, refused = [], []

    async def listen(adapter, hear, seconds):
        if adapter in refusing:
            raise gatt.ScanRefused(refusing[adapter], "")
        hear(Advertisement("A4:C1:38:00:00:00"), "random")
        await asyncio.sleep(seconds)

    monkeypatch.setattr(gatt, "listen", listen)
    await listen_on(
        ADAPTERS,
        0.05,
        heard=lambda adapter, advertisement, address_type: heard.append((adapter, address_type)),
        refused=refused.append,
        bluez=SilentBluez(),
        clock=SystemClock(),
    )
    return heard, refused


async def test_every_adapter_listens(monkeypatch):
    """And each tells what it hears under its own name."""
    assert await _listen(monkeypatch, {}) == ([("hci0", "random"), ("hci1", "random")], [])


async def test_one_that_refuses_does_not_end_the_others(monkeypatch):
    """Its cause is told."""
    heard, refused = await _listen(monkeypatch, {"hci1": "InProgress"})
    assert heard == [("hci0", "random")]
    assert [str(reason) for reason in refused] == ["scan refused: in progress: hci1 (00:01)"]


@pytest.mark.parametrize(
    ("error", "cause"),
    [("InProgress", "scan refused: in progress"), ("NotReady", "adapter switched off"), ("Failed", "unknown")],
)
async def test_when_all_refuse_the_cause_is_raised(monkeypatch, error, cause):
    """No result that looks like silence."""
    with pytest.raises(LinkDropped) as dropped:
        await _listen(monkeypatch, {"hci0": error, "hci1": error})
    assert dropped.value.cause == cause
