"""What must hold of the published limits at every second, whatever happens to the batteries."""

import random

import pytest

from tests.core.incidents import Life, protective_cause
from tests.core.stated import check_limits, stated_volts

LIVES = 24
INCIDENTS = 40
TEN_MV = 0.0101


def strings_of(site):
    """The batteries of each string."""
    return [[pack] for pack in site.packs] if site.configuration.topology == "parallel" else [site.packs]


def string_volts(string, cell_mv):
    """What a string has at this voltage of each cell."""
    return sum(len(pack.soc_pct) * getattr(pack.profile, cell_mv) for pack in string) / 1000


def lowest_volts(site, cell_mv):
    """The same of the strictest string."""
    return min(string_volts(string, cell_mv) for string in strings_of(site))


def check_voltage(life):
    """CVL between its floor and the target of its phase, below float only for a high cell; scheduled falls are slow."""
    site = life.site
    mode, _, reason = site.items["/Info/ChargeMode"].partition(": ")
    top = lowest_volts(site, "float_cell_mv" if mode == "Float" else "max_cell_mv")
    assert site.cvl_v <= top + 1e-6, (site.cvl_v, top, reason)
    float_v = lowest_volts(site, "float_cell_mv")
    floors = [
        max(string_volts(s, "min_cell_mv"), string_volts(s, "float_cell_mv") - 0.1 * sum(len(p.soc_pct) for p in s))
        for s in strings_of(site)
    ]
    assert site.cvl_v >= min(floors) - TEN_MV, reason
    before_v = life.before and life.before.get("/Info/MaxChargeVoltage")
    if site.cvl_v < float_v - TEN_MV:
        high_cell = " above " in reason or "rising" in reason or "falling" in reason
        assert high_cell or (before_v is not None and before_v < float_v), reason
    if before_v is not None and before_v - site.cvl_v > TEN_MV + 0.01:
        assert any(word in reason for word in (" above ", " missing", " lost", " silent")), (
            before_v,
            site.cvl_v,
            reason,
        )


def check_currents(life):
    """Falls at once, rises along ramps, 0 for discharging only with a protective cause in the same publish."""
    site, items = life.site, life.site.items
    assert 0 <= site.ccl_a <= sum(pack.profile.max_charge_ma for pack in site.packs) / 1000
    assert 0 <= site.dcl_a <= sum(pack.profile.max_discharge_ma for pack in site.packs) / 1000
    assert items["/Io/AllowToCharge"] == (site.ccl_a > 0)
    assert items["/Io/AllowToDischarge"] == (site.dcl_a > 0)
    phase = site.view.service(site.main).bank.phase.value
    if phase == "LOST":
        assert site.ccl_a == 0
    if life.before is not None:
        assert site.ccl_a - life.before["/Info/MaxChargeCurrent"] <= 5.1 + 1e-6
        assert site.dcl_a - life.before["/Info/MaxDischargeCurrent"] <= 20.1 + 1e-6
    if site.dcl_a == 0:
        waiting = items["/Info/DischargeLimitation"].startswith("0 A until more than")
        still = waiting and life.before is not None and life.before["/Info/MaxDischargeCurrent"] == 0
        assert protective_cause(site) or still, items["/Info/DischargeLimitation"]


def check(life):
    """Everything, while the service is on the bus."""
    site = life.site
    if not site.on_bus:
        return
    if "/Info/MaxChargeVoltage" not in site.items:
        assert site.view.problems
        return
    check_limits(site.items, site.now_s)
    check_voltage(life)
    check_currents(life)


@pytest.mark.parametrize("seed", range(LIVES))
def test_limits_hold_whatever_happens(seed):
    """Random readings, losses, recoveries, clock steps and restarts break none of the rules."""
    Life(random.Random(seed), check).live(INCIDENTS)


def test_ten_thousand_limits_follow_from_their_stated_reason():
    """The text on the bus alone gives the number back, for 10,000 different published triples of limits."""
    seen = set()

    def collect(life):
        items = life.site.items
        if not life.site.on_bus or "/Info/MaxChargeVoltage" not in items:
            return
        check_limits(items, life.site.now_s)
        for path, why in (("ChargeVoltage", "ChargeMode"), ("ChargeCurrent", "ChargeLimitation"),
                          ("DischargeCurrent", "DischargeLimitation")):  # fmt: skip
            seen.add((life.site.now_s, items["/Info/Max" + path], items["/Info/" + why]))

    dice = random.Random(7)
    while len(seen) < 10_000:
        Life(dice, collect).live(10)


def test_the_arithmetic_of_the_test_can_fail():
    """A reason that does not give its number is noticed."""
    assert stated_volts("16 x 3.45 V", 0) == pytest.approx(55.2)
    items = {
        "/Info/ChargeMode": "Bulk: 16 x 3.45 V", "/Info/MaxChargeVoltage": 55.3,
        "/Info/ChargeLimitation": "maximum of battery 1: 70 A", "/Info/MaxChargeCurrent": 70.0,
        "/Info/DischargeLimitation": "maximum of battery 1: 90 A", "/Info/MaxDischargeCurrent": 90.0,
    }  # fmt: skip
    with pytest.raises(AssertionError):
        check_limits(items, 0)
    items["/Info/MaxChargeVoltage"] = 55.2
    check_limits(items, 0)
    with pytest.raises(AssertionError):
        check_limits({**items, "/Info/ChargeLimitation": "cell 1 of battery 1 at 3.4 V: 70 A x 0.7 "
                      "(line from 3.3 V: 1 to 3.45 V: 0.5)", "/Info/MaxChargeCurrent": 49.0}, 0)  # fmt: skip
