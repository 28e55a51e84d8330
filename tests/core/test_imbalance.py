"""Batteries that do not pull together: flagged after a minute, over samples that can be compared."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.bank import Bank
from core.battery import Battery
from core.configuration import PARALLEL, SERIES, SINGLE, Configuration
from core.imbalance import Imbalances, ImbalanceWatch
from tests.core.banks import known, member
from tests.core.made import event, reading

NONE = Imbalances()


class Watched:
    """A bank whose members are told what to answer, once a second."""

    def __init__(self, topology, count=2, **options):
        self.batteries = [Battery(known(n)) for n in range(1, count + 1)]
        configuration = Configuration(tuple(b.configuration for b in self.batteries), topology=topology, **options)
        self.bank = Bank(self.batteries, configuration, 0)
        self.watch = ImbalanceWatch(self.bank)
        self.now_s = 0

    def see(self, seconds, *members, every_s=1):
        """The flags after *members* answered like this for so long; ``None`` does not answer."""
        found = self.watch.look(self.now_s * 1_000_000)
        for _ in range(seconds):
            self.now_s += 1
            for battery, frames in zip(self.batteries, members):
                for frame in (frames or ()) if self.now_s % every_s == 0 else ():
                    battery.fold(event(reading(frame), self.now_s))
            self.bank.look(self.now_s * 1_000_000)
            found = self.watch.look(self.now_s * 1_000_000)
        return found


def flags(topology, *members, seconds=70, **options):
    """What is raised after *seconds* of the same answers."""
    return Watched(topology, len(members), **options).see(seconds, *members)


def amperes(*currents_a, nominal_mah=100_000):
    return [member(current_ma=round(a * 1000), nominal_mah=nominal_mah) for a in currents_a]


def volts(*cells_mv):
    return [member((mv,) * 4) for mv in cells_mv]


def test_up_and_down_after_a_minute():
    """V6, V8: 60 s without a break, in both directions."""
    watched, apart, even = Watched(PARALLEL), amperes(20, 2), amperes(20, 20)
    assert watched.see(60, *apart) == NONE
    assert watched.see(1, *apart).current
    assert watched.see(60, *even).current
    assert not watched.see(1, *even).current


def test_a_break_begins_the_minute_anew():
    """One good second between two bad halves of a minute: nothing."""
    watched = Watched(PARALLEL)
    for _ in range(4):
        assert watched.see(40, *amperes(20, 2)) == NONE
        assert watched.see(1, *amperes(20, 20)) == NONE


@pytest.mark.parametrize(
    ("currents_a", "raised"),
    [
        ((20, 20), False),
        ((20, 16.1), False),
        ((20, 15.9), True),
        ((-20, -15.9), True),
        ((5.8, 4.4), True),
        ((4.9, 2), False),
        ((-20, -20, -15), True),
        ((2.1, -2.1), True),
        ((2.1, -1.9), False),
        ((0, 0), False),
    ],
)
def test_currents(currents_a, raised):
    """V5: by capacity and magnitude, while discharging too; above 5 % C more than a fifth apart, or circulating."""
    assert flags(PARALLEL, *amperes(*currents_a)).current is raised


def test_currents_are_compared_by_capacity():
    """V5: twice the current of twice the battery is even."""
    small, large = member(current_ma=-10_000), member(current_ma=-20_000, nominal_mah=200_000)
    assert not flags(PARALLEL, small, large).current
    assert flags(PARALLEL, member(current_ma=-15_000), member(current_ma=-15_000, nominal_mah=200_000)).current


@given(st.lists(st.integers(-30_000, 30_000), min_size=2, max_size=4))
@settings(max_examples=40)
def test_the_sign_of_all_currents_does_not_matter(currents_ma):
    """V5: charging and discharging are judged alike."""
    there = flags(PARALLEL, *[member(current_ma=ma // 10 * 10) for ma in currents_ma])
    back = flags(PARALLEL, *[member(current_ma=-(ma // 10 * 10)) for ma in currents_ma])
    assert there == back


@pytest.mark.parametrize(("cells_mv", "raised"), [((3300, 3374), False), ((3300, 3378), True), ((3378, 3300), True)])
def test_voltages_of_four_cells(cells_mv, raised):
    """V8: above 0.3 V for a low bank."""
    assert flags(PARALLEL, *volts(*cells_mv)).voltage is raised


@pytest.mark.parametrize(("cell_mv", "raised"), [(3331, False), (3336, True)])
def test_voltages_of_a_high_bank(cell_mv, raised):
    """V8: above 1 % where that is more than 0.3 V, as for 16 cells."""
    assert flags(PARALLEL, member((3300,) * 16), member((cell_mv,) * 16)).voltage is raised


@pytest.mark.parametrize(
    ("soc_pct", "limit", "raised"), [(59, 10, False), (60, 10, False), (61, 10, True), (61, None, False)]
)
def test_states_of_charge(soc_pct, limit, raised):
    """More than SOC_IMBALANCE_THRESHOLD apart, unless that is switched off; never the current flag with it (V6)."""
    found = flags(PARALLEL, member(soc_pct=50), member(soc_pct=soc_pct), soc_imbalance_pct=limit)
    assert found == Imbalances(soc=raised)
    assert found.any_cells is raised


@pytest.mark.parametrize(("soc_pct", "raised"), [(60, False), (61, True)])
def test_states_of_charge_in_series(soc_pct, raised):
    """More than 10 % apart, whatever is configured for parallel banks."""
    assert flags(SERIES, member(soc_pct=50), member(soc_pct=soc_pct), soc_imbalance_pct=None).soc is raised


@pytest.mark.parametrize(
    ("currents_a", "raised"), [((10, 11.9), False), ((10, 12.1), True), ((-50, -54.9), False), ((-50, -56), True)]
)
def test_sensors_in_series(currents_a, raised):
    """One current flows: sensors that differ by more than 2 A and 10 % are not right. No imbalance of cells."""
    assert flags(SERIES, *amperes(*currents_a)) == Imbalances(sensors=raised)


def test_series_currents_and_voltages_raise_nothing():
    """Batteries in series have any voltage they like."""
    assert flags(SERIES, *volts(3200, 3400)) == NONE


@pytest.mark.parametrize("topology", [SERIES, PARALLEL])
def test_old_samples_are_not_compared(topology):
    """V8: one sample 10 s old or more, and nothing is said, however long."""
    watched, apart = Watched(topology), [member(current_ma=20_000, soc_pct=20), member(current_ma=-9000, soc_pct=90)]
    watched.see(1, *apart)
    for _ in range(12):
        assert watched.see(10, apart[0], None) == NONE
        watched.see(1, *apart)


def test_samples_nine_seconds_old_are_compared():
    """Ten seconds between answers are young enough at every tick but one."""
    watched = Watched(PARALLEL)
    assert watched.see(100, *amperes(20, 2), every_s=9).current


def test_what_cannot_be_compared_any_more_goes_down_in_a_minute():
    """Not at once: a radio that stutters does not flap the flag."""
    watched, apart = Watched(PARALLEL), amperes(20, 2)
    assert watched.see(70, *apart).current
    assert watched.see(60, apart[0], None).current
    assert not watched.see(20, apart[0], None).current


def test_unknown_inputs_are_not_compared():
    """A state of charge or a current that cannot be true, or a capacity nobody knows, raises nothing."""
    assert flags(PARALLEL, member(soc_pct=50), member(soc_pct=120)) == NONE
    assert flags(PARALLEL, *amperes(20, 2, nominal_mah=0)) == NONE


def test_one_battery_has_nobody_to_compare_with():
    """Single: no flag at all."""
    assert flags(SINGLE, member(current_ma=30_000)) == NONE
