"""How parallel batteries share, and what the bank may carry."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.limits.limit import Limit
from core.limits.sharing import Sharer, Sharing

AH = 1_000


def sharer(name, limit_a, current_a=None, capacity_ah=100):
    """A battery that can carry current."""
    current_ma = None if current_a is None else round(current_a * 1000)
    limit = Limit(limit_a * 1000, "{}", (name,), stops=limit_a == 0)
    return Sharer(ord(name) - 96, capacity_ah * AH, limit, current_ma)


def run(sharing, sharers, seconds, start_s=0):
    """The total in A at each second."""
    return [sharing.total(sharers, (start_s + n) * 1_000_000).value / 1000 for n in range(seconds)]


def test_alone_it_is_its_own_limit():
    """One battery is limited by itself, whatever it carries."""
    assert run(Sharing(), [sharer("a", 70, 200)], 100) == [70] * 100


def test_by_capacity_without_current():
    """V4: unequal batteries: the one that reaches its limit first counts, and never more than the sum."""
    sharers = [sharer("a", 70, capacity_ah=300), sharer("b", 70, capacity_ah=100)]
    assert run(Sharing(), sharers, 1) == pytest.approx([70 / 0.75])
    assert run(Sharing(), [sharer("a", 70), sharer("b", 70)], 1) == [140]
    assert run(Sharing(), [sharer("a", 30), sharer("b", 70)], 1) == [60]


def test_by_measured_share():
    """V4: shared 60 to 40, two batteries of 70 A may carry 116.7 A together, not 140 A."""
    sharers = [sharer("a", 70, 60), sharer("b", 70, 40)]
    assert run(Sharing(), sharers, 1) == pytest.approx([70 / 0.6])


def test_the_measured_share_is_a_mean_over_a_minute():
    """A new share comes in over 60 s, and what is older counts no more."""
    sharing = Sharing()
    run(sharing, [sharer("a", 70, 50), sharer("b", 70, 50)], 100)
    shifted = run(sharing, [sharer("a", 70, 40), sharer("b", 70, 60)], 120, start_s=100)
    assert shifted[0] == pytest.approx(70 / (0.5 + 0.1 / 61))
    assert shifted[29] == pytest.approx(70 / (0.5 + 0.1 * 30 / 61))
    assert shifted[60:] == pytest.approx([70 / 0.6] * 60)


@pytest.mark.parametrize("currents_a", [(12, 8), (0, 0), (-60, -40), (30, None), (None, None)])
def test_small_reverse_or_unknown_currents_measure_nothing(currents_a):
    """Up to 0.1 C of the bank, against the direction or with a sample too old, capacity is all there is."""
    sharers = [sharer("a", 70, currents_a[0]), sharer("b", 70, currents_a[1])]
    assert run(Sharing(), sharers, 50) == [140] * 50


def test_the_measured_share_decays_over_ten_minutes():
    """Without current it returns to the share of the capacity in a straight line."""
    sharing = Sharing()
    run(sharing, [sharer("a", 70, 60), sharer("b", 70, 40)], 61)
    resting = run(sharing, [sharer("a", 70, 0), sharer("b", 70, 0)], 700, start_s=61)
    assert resting[299] == pytest.approx(70 / 0.55)
    assert resting[599] == 140
    assert sorted(resting) == resting


def test_the_mean_that_decays_is_that_of_the_last_minute():
    """What is kept while no current flows is the mean, not the odd sample of the moment the current stopped."""
    sharing = Sharing()
    run(sharing, [sharer("a", 70, 60), sharer("b", 70, 40)], 61)
    run(sharing, [sharer("a", 70, 21), sharer("b", 70, 0)], 1, start_s=61)
    later = run(sharing, [sharer("a", 70, 0), sharer("b", 70, 0)], 120, start_s=62)
    mean = (60 * 0.6 + 1) / 61
    assert later[100] == pytest.approx(70 / (0.5 + (mean - 0.5) * (1 - 101 / 600)), rel=1e-3)


def test_a_member_at_zero_stops_all():
    """V4: it is connected but may take nothing: nothing may flow."""
    assert run(Sharing(), [sharer("a", 70), sharer("b", 0)], 1) == [0]


def test_other_sharers_measure_anew():
    """What was measured among others says nothing about these."""
    sharing = Sharing()
    run(sharing, [sharer("a", 70, 60), sharer("b", 70, 40)], 61)
    three = [sharer("a", 70), sharer("b", 70), sharer("c", 70)]
    assert run(sharing, three, 1, start_s=61) == pytest.approx([210])


def test_an_overload_lowers_the_total_after_20_s():
    """A battery above its own limit for 20 s lowers the total in proportion to what all carried."""
    sharers = [sharer("a", 8, 16, capacity_ah=1000), sharer("b", 70, 4, capacity_ah=1000)]
    totals = run(Sharing(), sharers, 60)
    assert totals == [16] * 20 + [20 * 8 / 16] * 40


def test_an_overload_that_ends_before_20_s_changes_nothing():
    """A start of a motor is not an overload."""
    sharing = Sharing()
    calm = [sharer("a", 70, 5), sharer("b", 70, 5)]
    surge = [sharer("a", 70, 9.0, capacity_ah=1000), sharer("b", 5, 8.0, capacity_ah=1000)]
    assert run(sharing, calm, 1) == [140]
    assert run(sharing, surge, 20, start_s=1) == [10] * 20
    assert run(sharing, calm, 1, start_s=21) == [140]


def test_an_overload_is_remembered_for_ten_minutes():
    """The lowered total holds for 600 s and then no longer."""
    sharing = Sharing()
    over = [sharer("a", 8, 9.5, capacity_ah=1000), sharer("b", 70, 9.5, capacity_ah=1000)]
    assert run(sharing, over, 21)[20] == pytest.approx(16)
    over = [sharer("a", 8, 16, capacity_ah=1000), sharer("b", 70, 4, capacity_ah=1000)]
    assert run(sharing, over, 21, start_s=21)[20] == pytest.approx(10)
    calm = [sharer("a", 70, 1, capacity_ah=1000), sharer("b", 70, 1, capacity_ah=1000)]
    after = run(sharing, calm, 650, start_s=42)
    assert after[:590] == pytest.approx([10] * 590)
    assert after[-1] == 140


def test_an_overload_of_a_stopped_battery_does_not_outlive_the_stop():
    """DCL is 0 only for a named protective cause: when that is gone, a trickle from before must not hold 0."""
    sharing = Sharing()
    run(sharing, [sharer("a", 0, 1), sharer("b", 90, 1)], 30)
    after = sharing.total([sharer("a", 90, 1), sharer("b", 90, 1)], 31_000_000)
    assert after.value > 0 or after.stops


def test_an_overload_must_last_without_a_break():
    """A battery that was switched off for a while begins its 20 s anew."""
    sharing = Sharing()
    over, other = sharer("a", 8, 9.5, capacity_ah=1000), sharer("b", 70, 0.5, capacity_ah=1000)
    third = sharer("c", 70, 0, capacity_ah=1000)
    before = run(sharing, [over, other, third], 5)
    run(sharing, [other, third], 100, start_s=5)
    assert run(sharing, [over, other, third], 1, start_s=105) == before[:1]


def test_reasons():
    """Every way of sharing says who and how much."""
    sharing = Sharing()
    assert sharing.total([sharer("a", 30), sharer("b", 70)], 0).text() == "a; battery 1 takes 0.5 of the current"
    uneven = [sharer("a", 70, 60), sharer("b", 30, 60)]
    assert Sharing().total(uneven, 0).text() == "b; battery 2 takes 0.5 of the current"


amperes = st.none() | st.integers(-200, 400)
banks = st.lists(
    st.tuples(st.integers(0, 200), amperes, st.integers(1, 400)), min_size=1, max_size=4
).map(lambda rows: [sharer("abcd"[n], *row) for n, row in enumerate(rows)])  # fmt: skip


@given(st.lists(st.tuples(banks, st.integers(1, 40)), max_size=6))
def test_never_more_than_the_sum_nor_than_any_share_allows(steps):
    """Whatever flows: no battery is granted more than its limit by its share of the capacity, nor all than the sum."""
    sharing, now_s = Sharing(), 0
    for sharers, seconds in steps:
        whole_mah = sum(each.capacity_mah for each in sharers)
        most = min(
            sum(each.limit.value for each in sharers),
            min(each.limit.value * whole_mah / each.capacity_mah for each in sharers),
        )
        for total_a in run(sharing, sharers, seconds, start_s=now_s):
            assert 0 <= total_a * 1000 <= most * (1 + 1e-9)
        now_s += seconds
