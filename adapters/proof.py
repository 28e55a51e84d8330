"""Proves that a device is a battery: asks it once what the daemon asks all the time, and hangs up."""

from __future__ import annotations

import asyncio
from typing import List, Optional

from adapters.battery_reader import BatteryReader
from adapters.clock import Clock
from adapters.deadline import within
from adapters.radio import Link, LinkDropped, Radio
from adapters.unlocker import Unlocker
from core.events import Fact, ReadingTaken
from core.link_causes import CONNECT_TIMEOUT, SILENT, UNKNOWN
from core.protocols import Protocol
from core.readings import CellReading, Identity, PackReading

PROOF_S = 40.0
"""Hard end of all waiting for one device."""
CLOSE_S = 6.0
_POLL_S = 1.0
_ENOUGH_ANSWERS = 6
"""So many without a reading of the pack, and there will be none."""


class Proof:
    """What a battery answered so far; *complete* once there is nothing more to wait for."""

    def __init__(self, protocol: Protocol) -> None:
        self.pack: Optional[PackReading] = None
        self.cells: Optional[CellReading] = None
        self.identity: Optional[Identity] = None
        self.refusal = ""
        self.complete = asyncio.Event()
        self._protocol = protocol
        self._packs = 0
        self._answers = 0

    def take(self, fact: Fact) -> None:
        """Take what the reader records."""
        if not isinstance(fact, ReadingTaken):
            return
        sample = self._protocol.decode(fact.frame)
        self.pack = sample.pack or self.pack
        self.cells = sample.cells or self.cells
        self.identity = sample.identity or self.identity
        self.refusal = sample.refusal.meaning if sample.refusal else self.refusal
        self._packs += sample.pack is not None
        self._answers += 1
        everything = self.pack and self.cells and self.identity
        if everything or self._packs > 1 or self._answers >= _ENOUGH_ANSWERS:  # a second pack: the name will not come
            self.complete.set()


async def prove(address: str, protocol: Protocol, radio: Radio, clock: Clock) -> Proof:
    """What the battery at *address* answers. Raises :class:`LinkDropped` when it is none, or cannot be asked."""
    end_us = clock.uptime_us() + int(PROOF_S * 1e6)
    try:
        link = await within(clock, radio.connect(), PROOF_S)
    except asyncio.TimeoutError:
        raise LinkDropped(CONNECT_TIMEOUT, "in {:g} s".format(PROOF_S)) from None
    proof = Proof(protocol)
    try:
        await within(clock, _read(address, protocol, link, proof, clock), (end_us - clock.uptime_us()) / 1e6)
    except asyncio.TimeoutError:
        if proof.pack is None:
            raise LinkDropped(SILENT, "in {:g} s".format(PROOF_S)) from None
    except LinkDropped as dropped:
        if proof.pack is None:
            raise await radio.diagnose(dropped) from None
    finally:
        await _hang_up(link, clock)
    if proof.pack is None:
        raise LinkDropped(UNKNOWN, proof.refusal or "its answers hold no measurements")
    return proof


async def _read(address: str, protocol: Protocol, link: Link, proof: Proof, clock: Clock) -> None:
    """The daemon's own reader, until the proof is complete."""
    reader = BatteryReader(
        address,
        protocol,
        link,
        clock=clock,
        record=proof.take,
        recover=lambda rung, cause: False,
        answered=lambda: None,
        unlocker=Unlocker(protocol, address, "", clock),
        poll_s=_POLL_S,
    )
    tasks: List[asyncio.Future[object]] = [asyncio.ensure_future(reader.run())]
    tasks.append(asyncio.ensure_future(proof.complete.wait()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hang_up(link: Link, clock: Clock) -> None:
    try:
        await within(clock, link.close(), CLOSE_S)
    except asyncio.TimeoutError:
        return
