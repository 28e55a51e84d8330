"""Made frames, events and batteries: short names for the arrangement of a test.

Frames are built here from the documented layout, not with the code under test.
"""

import struct

from attrs import evolve

from core.battery import Battery
from core.cell_alerts import CellAlerts
from core.configuration import BatteryConfiguration, Configuration
from core.events import Event, ReadingTaken, SessionStarted
from core.protocols.base import Frame
from core.service_view import ServiceView

BATTERY = "ble_a4c137000001"
ADDRESS = "A4:C1:37:00:00:01"
KNOWN = BatteryConfiguration(BATTERY, ADDRESS)
CONFIGURATION = Configuration((KNOWN,))
SERVICE = "com.victronenergy.battery." + BATTERY
WALL_US = 1_767_225_600_000_000


def frame(register, payload=b"", status=0):
    """One JBD answer: the sum runs over status, length and payload."""
    covered = bytes([status, len(payload)]) + bytes(payload)
    return bytes([0xDD, register]) + covered + (-sum(covered) & 0xFFFF).to_bytes(2, "big") + b"\x77"


def basic(
    *,
    voltage_mv=13_300,
    current_ma=-5_000,
    remaining_mah=50_000,
    nominal_mah=100_000,
    cycles=3,
    date=0x2C7C,
    balance=(0, 0),
    protection=0,
    version=0x25,
    soc_pct=50,
    fet=3,
    cell_count=4,
    temperatures_dc=(250, 260),
    tail=b"",
):
    """The frame of register 03 of a 4S battery that discharges with 5 A."""
    fixed = struct.pack(
        ">HhHHHHHHHBBBBB",
        voltage_mv // 10,
        current_ma // 10,
        remaining_mah // 10,
        nominal_mah // 10,
        cycles,
        date,
        *balance,
        protection,
        version,
        soc_pct,
        fet,
        cell_count,
        len(temperatures_dc),
    )
    kelvins = b"".join(struct.pack(">H", t + 2731) for t in temperatures_dc)
    return frame(0x03, fixed + kelvins + tail)


def cells(*voltages_mv):
    """The frame of register 04; four cells that add up to the 13.3 V of :func:`basic` if none are named."""
    voltages_mv = voltages_mv or (3325, 3320, 3330, 3325)
    return frame(0x04, struct.pack(">{}H".format(len(voltages_mv)), *voltages_mv))


def name(text=b"JBD-SP04S034"):
    """The frame of register 05."""
    return frame(0x05, text)


def counters(*counts):
    """The frame of register AA."""
    return frame(0xAA, struct.pack(">12H", *counts))


def reading(data, battery=BATTERY, protocol="jbd"):
    """The fact that *data* arrived."""
    return ReadingTaken(battery, protocol, data)


def started(configuration=CONFIGURATION, **remembered):
    """The fact that the program started."""
    return SessionStarted("0.1.0", configuration.to_payload(), remembered)


def event(fact, at_s=0.0, *, number=1, boot=1):
    """*fact* at a time of uptime."""
    uptime_us = round(at_s * 1e6)
    return Event(number, boot, uptime_us, WALL_US + uptime_us, fact)


def events(*timed_facts, boot=1):
    """(seconds, fact) pairs as numbered events."""
    return [event(fact, at_s, number=n, boot=boot) for n, (at_s, fact) in enumerate(timed_facts, 1)]


def battery(*frames, at_s=0.0, configuration=KNOWN):
    """A battery that has answered with JBD *frames*."""
    made = Battery(configuration)
    for data in frames:
        made.fold(event(reading(data), at_s))
    return made


def service(*batteries, configuration=CONFIGURATION, index=0, remembered=None, began_s=0.0, alerts=None):
    """The service that stands for all of *batteries*, and is at place *index* of the configuration."""
    configuration = evolve(configuration, batteries=tuple(each.configuration for each in batteries))
    return ServiceView(
        configuration.services[0],
        batteries,
        configuration,
        began_us=round(began_s * 1e6),
        index=index,
        program="0.1.0",
        remembered=remembered or {},
        alerts=alerts or CellAlerts(),
    )


def in_phase(bank, phase, now_s=0.0):
    """*bank* as if it, and every battery of it, were in *phase*, whatever their age. Returns it."""

    def look(now_us):
        for member in bank.members:
            member.look(bank.configuration, now_us)
            member.enter(phase)
        bank.phase = phase
        return phase

    bank.look = look
    look(round(now_s * 1e6))
    return bank


def cut(data, sizes):
    """*data* in notifications of these sizes, over and over."""
    chunks, start, turn = [], 0, 0
    while start < len(data):
        size = sizes[turn % len(sizes)]
        chunks.append(data[start : start + size])
        start, turn = start + size, turn + 1
    return chunks


def deliveries_of(assembler, notifications):
    """Everything that *assembler* makes of *notifications*, the flush at the end included."""
    deliveries = [delivery for notification in notifications for delivery in assembler.feed(notification)]
    return deliveries + assembler.flush()


def frames_in(assembler, notifications):
    """Only the frames of :func:`deliveries_of`."""
    return [d.data for d in deliveries_of(assembler, notifications) if isinstance(d, Frame)]
