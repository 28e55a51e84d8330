"""Every assignment of live, stale, lost and never seen to one to four members: what is published, and what is not."""

from itertools import product

import pytest

from core.configuration import PARALLEL, SERIES, SINGLE
from core.paths import type_of
from tests.core.presence_table import LIMITS, README, STATES, VALUES, Rules, observed, with_table

BANKS = [(SINGLE, 1)] + [(topology, n) for topology in (SERIES, PARALLEL) for n in (2, 3, 4)]
NAMES = ["{} {}".format(topology, n) for topology, n in BANKS]


every_bank = pytest.mark.parametrize(("topology", "count"), BANKS, ids=NAMES)


def assignments(topology, count):
    """(states, rules, items) of every assignment that is on the bus."""
    for states in product(STATES, repeat=count):
        rules = Rules(topology, states)
        if rules.on_bus:
            yield states, rules, observed(topology, states)[0]


def check_values(group, topology, count):
    for states, rules, items in assignments(topology, count):
        for path, value in getattr(rules, group)().items():
            found = items[path]
            assert (found is None) == (value is None), (states, path, value, found)
            if isinstance(value, float):
                assert abs(found - value) <= 0.51 * 10 ** -type_of(path).decimals, (states, path, value, found)
            else:
                assert found == value, (states, path)


@every_bank
def test_who_is_on_the_bus(topology, count):
    """Single and series only after everybody was complete once; parallel with at least one after the wait."""
    for states in product(STATES, repeat=count):
        assert (observed(topology, states)[0] is not None) == Rules(topology, states).on_bus, states


@every_bank
def test_who_leaves(topology, count):
    """A whole that stays lost leaves the bus; a parallel bank stays as long as one member does."""
    for states in product(STATES, repeat=count):
        assert observed(topology, states)[1] == Rules(topology, states).left_later, states


@pytest.mark.parametrize("group", [group for group in VALUES if group != "temperatures"])
@every_bank
def test_values(group, topology, count):
    """A group of paths shows what the live members say, what may be held, or nothing."""
    check_values(group, topology, count)


@every_bank
def test_temperatures(topology, count):
    """A string with a member that is not live is STALE as a whole: its coldest cell is not known."""
    check_values("temperatures", topology, count)


def check_limit(name, topology, count):
    for states, rules, items in assignments(topology, count):
        least_a, most_a = getattr(rules, name)()
        assert least_a - 0.051 <= items[LIMITS[name]] <= most_a + 0.051, (states, items[LIMITS[name]], least_a, most_a)


@every_bank
def test_charge_current(topology, count):
    """0 once lost, a tenth for who is stale, less for who is missing, by shares of the capacity that is there."""
    check_limit("ccl", topology, count)


@every_bank
def test_discharge_current(topology, count):
    """Never 0 for a silence; no battery that is there is driven beyond its own limit."""
    check_limit("dcl", topology, count)


@every_bank
def test_the_silent_are_named(topology, count):
    """Whoever is not live stands in /ConnectionInformation, with what is held; whoever is live does not."""
    for states, _, items in assignments(topology, count):
        text = items["/ConnectionInformation"]
        for number, state in enumerate(states, 1):
            told = {"live": "", "stale": "Stale 00:00:35, held: Soc", "lost": "Lost 00:00:45, held: Soc"}
            expected = told.get(state, "Not seen yet")
            assert expected in text, (states, text)
            assert count == 1 or not expected or "Battery {}: {}".format(number, expected) in text, (states, text)


def test_the_table_in_the_readme_is_the_generated_one():
    """core/README.md holds what ``python -m tests.core.presence_table`` writes."""
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text)
