"""Limits against physics: a cell that runs away, batteries that share unevenly, losses and restarts under load."""

import json
import random

import pytest

from core.limits.profile import ChargeProfile
from tests.core.physics import Pack, Site
from tests.core.stated import check_limits

MAX_CELL_MV = 3450


@pytest.mark.parametrize("linear", [False, True], ids=["step", "linear"])
@pytest.mark.parametrize("cells", [4, 8, 16, 24])
def test_a_runner_cell_neither_escapes_nor_keeps_absorption_from_ending(cells, linear):
    """One cell 2 % ahead of its siblings: absorption begins and ends, and it stays below MAX_CELL_VOLTAGE + 50 mV."""
    charges = [97.0] * cells
    charges[cells // 2] = 99.0
    site = Site([Pack("a", charges, bleed_a=0.1)], linear=linear)
    highest, modes = 0, []
    for _ in range(3600):
        site.step(charge_a=70.0)
        highest = max(highest, *site.packs[0].cells_mv())
        if site.on_bus and site.mode not in modes:
            modes.append(site.mode)
    assert modes == ["Bulk", "Absorption", "Float Transition", "Float"]
    assert highest < MAX_CELL_MV + 50


def _bank(dice):
    """Batteries in parallel whose resistances differ up to threefold, in the flat part of their curve."""
    packs = []
    for n in range(dice.randint(2, 4)):
        times = dice.uniform(1, 3)
        profile = ChargeProfile(
            max_charge_ma=dice.choice([30_000, 70_000]), max_discharge_ma=dice.choice([50_000, 90_000])
        )
        packs.append(
            Pack(
                "b{}".format(n),
                [60.0] * 4,
                capacity_ah=dice.choice([50, 100, 200]),
                cell_mohm=0.3 * times,
                wire_mohm=times,
                profile=profile,
            )
        )
    return packs


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("charging", [True, False], ids=["charging", "discharging"])
def test_uneven_sharing_overloads_nobody(seed, charging):
    """After two minutes of whatever the limits allow, no battery carries more than 105 % of its own limit."""
    packs = _bank(random.Random(seed))
    site = Site(packs, topology="parallel", linear=bool(seed % 2))
    site.step(20)
    for second in range(420):
        allowed_a = site.obeyed.get("/Info/MaxDischargeCurrent") or 0.0
        site.step(charge_a=1000.0 if charging else 0.0, load_a=0.0 if charging else allowed_a)
        check_limits(site.items, site.now_s)
        if second < 120:
            continue
        for pack in packs:
            limit_a = (pack.profile.max_charge_ma if charging else pack.profile.max_discharge_ma) / 1000
            carried_a = pack.current_a if charging else -pack.current_a
            assert carried_a <= limit_a * 1.05, (pack.name, carried_a, limit_a)
    carried_a = sum(abs(pack.current_a) for pack in packs)
    assert carried_a > 0.5 * min(pack.profile.max_charge_ma for pack in packs) / 1000  # and the bank is in use


@pytest.mark.parametrize(("topology", "count"), [("single", 1), ("series", 2), ("parallel", 2)])
@pytest.mark.parametrize("silence_s", [20, 150, 500], ids=["STALE", "LOST", "GONE"])
def test_a_silence_under_load_never_publishes_dcl_0(topology, count, silence_s):
    """STALE, LOST or GONE and back under 50 A: the house is never switched off."""
    packs = [Pack("b{}".format(n), [60.0] * 4) for n in range(count)]
    site = Site(packs, topology=topology)
    site.step(60, load_a=50.0)
    for pack in packs:
        pack.answers = False
    phases = set()
    for second in range(silence_s + 90):
        for pack in packs:
            pack.answers = second >= silence_s
        site.step(load_a=50.0)
        phases.add(site.publications[-1].phase.value)
        if site.on_bus:
            assert site.dcl_a >= 50.0
            assert site.items["/Io/AllowToDischarge"] == 1
    assert {20: "STALE", 150: "LOST", 500: "GONE"}[silence_s] in phases
    assert site.on_bus and site.dcl_a == 90.0 * (count if topology == "parallel" else 1)


@pytest.mark.parametrize(("topology", "count"), [("single", 1), ("series", 2), ("parallel", 2)])
def test_a_restart_under_load_starts_at_the_computed_limit(topology, count):
    """After a restart the first published DCL is what the readings allow, not 0 and not a ramp."""
    packs = [Pack("b{}".format(n), [60.0] * 4) for n in range(count)]
    before = Site(packs, topology=topology)
    before.step(60, load_a=50.0)
    remembered = json.loads(json.dumps(before.view.remembered()))
    after = Site(packs, topology=topology, remembered=remembered, start_s=before.now_s + 3)
    while not after.on_bus:
        after.step(load_a=50.0)
    assert after.dcl_a == before.dcl_a > 0
    assert after.ccl_a == before.ccl_a


def test_coming_back_from_gone_ramps_charging_from_0():
    """CCL rises from 0 after a hold, CVL within a minute after ten seconds, and DCL is as before."""
    site = Site([Pack("a", [60.0] * 4)])
    site.step(60)
    site.packs[0].answers = False
    site.step(500)
    assert not site.on_bus
    site.packs[0].answers = True
    while not site.on_bus:
        site.step()
    assert (site.ccl_a, site.cvl_v, site.dcl_a) == (0.0, 13.4, 90.0)
    site.step(9)
    assert site.cvl_v == 13.4
    site.step(20)
    assert site.ccl_a == 0.0 and 13.4 < site.cvl_v < 13.8
    site.step(4)
    assert 5.0 <= site.ccl_a <= 20.0
    site.step(60)
    assert (site.ccl_a, site.cvl_v) == (70.0, 13.8)


def test_a_silence_that_passes_from_one_battery_to_another_raises_nothing():
    """In series the first one comes back in the second in which the other one falls silent: CVL does not jump up."""
    site = Site([Pack("a", [60.0] * 4), Pack("b", [60.0] * 4)], topology="series")
    site.step(60)
    left, right = site.packs
    left.answers = False
    site.step(60)
    right.answers = False
    site.step(15)
    left.answers = True
    volts = []
    for _ in range(40):
        site.step()
        volts.append(site.cvl_v)
    assert volts == sorted(volts, reverse=True)
    assert volts[0] < 27.6


@pytest.mark.parametrize(("topology", "count"), [("single", 1), ("series", 2)])
def test_a_wrong_number_of_cells_does_not_stay(topology, count):
    """A BMS that began with twice its cells warns at once, leaves after a minute, comes back with the right limit."""
    packs = [Pack("b{}".format(n), [60.0] * 4) for n in range(count)]
    packs[0].soc_pct = [60.0] * 8
    site = Site(packs, topology=topology)
    site.step(30)
    wrong_v = site.cvl_v
    packs[0].soc_pct = [60.0] * 4
    site.step(10)
    assert site.items["/Alarms/InternalFailure"] == 1 and site.cvl_v < wrong_v
    site.step(70)
    assert [p.change for p in site.publications if p.change != "changed"] == ["joined", "left", "joined"]
    assert site.cvl_v == pytest.approx(3.45 * 4 * count)
    assert site.ccl_a == 70.0 and site.dcl_a == 90.0
