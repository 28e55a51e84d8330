"""Batteries that live in the process: the simulated one, the recorded one, and the radio that reaches them."""

import asyncio

import pytest

from adapters.in_process import InProcessRadio
from adapters.radio import LinkDropped
from adapters.recorded_battery import RecordedBattery
from adapters.simulated_battery import CYCLE_S, SimulatedBattery, SimulatedPack
from core import protocols
from core.protocols.base import frames_of
from tests.doubles.manual_clock import ManualClock
from tests.frames import frame

JBD = protocols.find("jbd")
ASK = {request.data[2]: request.data for request in (*JBD.poll_requests, *JBD.once_requests)}


def _sample(battery, register, seconds):
    answer = battery.respond(ASK[register], seconds)
    assembler = JBD.assembler()
    (whole,) = frames_of(assembler.feed(answer) + assembler.flush())
    return JBD.decode(whole)


@pytest.mark.parametrize("cells", [1, 4, 8, 16, 24, 32])
def test_simulated_battery_is_plausible_all_day(cells):
    """Cells add up to the pack, current has the sign of the change of charge, nothing leaves its range."""
    battery = SimulatedBattery(SimulatedPack("a", cells=cells, seed=cells))
    remaining = []
    for seconds in range(0, CYCLE_S * 2, 600):
        pack, voltages = _sample(battery, 3, seconds).pack, _sample(battery, 4, seconds).cells.voltages_mv
        assert len(voltages) == pack.cell_count == cells
        assert abs(sum(voltages) - pack.voltage_mv) <= 10
        assert all(2800 < mv < 3650 for mv in voltages)
        assert 0 <= pack.soc_permille <= 1000
        assert all(150 < t < 300 for t in pack.temperatures_dc)
        remaining.append((pack.remaining_mah, pack.current_ma))
    rising = [b[0] - a[0] > 0 for a, b in zip(remaining, remaining[1:]) if min(abs(a[1]), abs(b[1])) > 2000]
    charging = [a[1] > 0 for a, b in zip(remaining, remaining[1:]) if min(abs(a[1]), abs(b[1])) > 2000]
    agree = sum(r == c for r, c in zip(rising, charging))
    assert len(rising) > 20 and agree >= len(rising) - 4  # at the turning points the sign changes in between


def test_a_seed_is_a_battery():
    """Same parameters and moment: same bytes. Another seed: another battery."""
    one, same, other = (SimulatedBattery(SimulatedPack("a", seed=seed)) for seed in (1, 1, 2))
    moments = range(0, 5000, 7)
    assert [one.respond(ASK[4], s) for s in moments] == [same.respond(ASK[4], s) for s in moments]
    assert [one.respond(ASK[4], s) for s in moments] != [other.respond(ASK[4], s) for s in moments]


def test_simulated_battery_balances_and_reaches_its_ends():
    """Full and empty are held, and high cells are balanced there."""
    full = SimulatedBattery(SimulatedPack("a", cells=16, soc_pct=100.0, seed=4))
    packs = [_sample(full, 3, s).pack for s in range(0, CYCLE_S, 300)]
    assert any(pack.balancing_cells for pack in packs)
    assert any(pack.current_ma == 0 and pack.soc_permille == 1000 for pack in packs)


def test_simulated_battery_refuses_what_is_no_read():
    """A write is refused, an unknown register too; noise gets no answer."""
    battery = SimulatedBattery(SimulatedPack("a"))
    assert JBD.decode(battery.respond(bytes.fromhex("dd5ae1020000ff1d77"), 0)).refusal is not None
    assert JBD.decode(battery.respond(bytes.fromhex("dda50800fff877"), 0)).refusal is not None
    assert battery.respond(b"\x00", 0) == b""
    assert JBD.decode(battery.respond(ASK[5], 0)).identity.hardware_name == "JBD-SIM-a"


def test_outages_are_where_they_were_ordered():
    """The next one ahead, or the one that is going on."""
    battery = SimulatedBattery(SimulatedPack("a", outages=((100.0, 50.0), (300.0, 10.0))))
    assert [battery.next_outage_s(s) for s in (0, 120, 150, 305, 310)] == [100.0, 100.0, 300.0, 300.0, None]


async def test_answers_come_in_notifications_of_20_bytes():
    """As over the air at the smallest MTU; a 39-byte frame comes in two."""
    clock = ManualClock()
    link_task = asyncio.ensure_future(InProcessRadio(SimulatedBattery(SimulatedPack("a", cells=16)), clock).connect())
    await clock.run_for(1)
    link = await link_task
    await link.write(ASK[4])
    await clock.run_for(0.2)
    sizes = [len(await link.inbox.get(clock, 0)) for _ in range(2)]
    assert sizes == [20, 19]
    assert await link.inbox.get(clock, 0) is None
    await link.close()
    with pytest.raises(LinkDropped):
        await link.write(ASK[4])


async def test_what_arrived_before_a_drop_can_still_be_read():
    """Then the drop is raised, with its cause."""
    clock = ManualClock()
    radio = InProcessRadio(SimulatedBattery(SimulatedPack("a", outages=((2.0, 60.0),))), clock)
    link_task = asyncio.ensure_future(radio.connect())
    await clock.run_for(1)
    link = await link_task
    await link.write(ASK[4])
    await clock.run_for(2)
    assert len(await link.inbox.get(clock, 0)) == 15
    with pytest.raises(LinkDropped) as dropped:
        await link.inbox.get(clock, 1)
    assert dropped.value.cause == "out of range"
    await link.close()
    connecting = asyncio.ensure_future(radio.connect())
    await clock.run_for(1)
    with pytest.raises(LinkDropped):
        await connecting


def test_recorded_battery_answers_with_the_frame_of_the_moment():
    """In recorded time, before the first one the first, and from the beginning again at the end."""
    first, second, cells = frame("jbd-034"), frame("jbd-035"), frame("jbd-065")
    battery = RecordedBattery("r", JBD, [(1.0, first), (1.1, cells), (10.0, second)], duration_s=20.0)
    assert [battery.respond(ASK[3], s) for s in (0, 5, 10, 19, 21, 31)] == [first, first, second, second, first, second]
    assert battery.respond(ASK[4], 15) == cells
    assert battery.respond(ASK[5], 15) == b""


def test_recorded_outages_come_again_every_round():
    """Also when the last round's outage is over."""
    battery = RecordedBattery("r", JBD, [(0.0, frame("jbd-034"))], duration_s=20.0, outages=[(5.0, 8.0)])
    assert [battery.next_outage_s(s) for s in (0, 6, 9, 27, 29)] == [5.0, 5.0, 25.0, 25.0, 45.0]
    assert RecordedBattery("r", JBD, [], duration_s=0).next_outage_s(3) is None
