"""How long a quiet battery stays a battery."""

import pytest
from attrs import evolve

from core.presence import Phase, phase_of
from tests.core.made import CONFIGURATION

START, LIVE, STALE, LOST, GONE = Phase


@pytest.mark.parametrize(
    ("age_s", "phase"),
    [
        (None, START),
        (0.0, LIVE),
        (15.0, LIVE),
        (15.000001, STALE),
        (120.0, STALE),
        (120.000001, LOST),
        (360.0, LOST),
        (360.000001, GONE),
        (1e9, GONE),
    ],
)
def test_phase_by_age(age_s, phase):
    """The table with its default times: 15 s, HOLD 120 s, REMOVE 240 s more; a border belongs to the phase before."""
    assert phase is phase_of(age_s, CONFIGURATION)


@pytest.mark.parametrize(
    ("changes", "age_s", "phase"),
    [
        ({"poll_seconds": 10.0}, 30.0, LIVE),
        ({"poll_seconds": 10.0}, 30.1, STALE),
        ({"poll_seconds": 1.0}, 15.0, LIVE),
        ({"hold_seconds": 60}, 60.0, STALE),
        ({"hold_seconds": 60}, 60.1, LOST),
        ({"hold_seconds": 5}, 15.0, LIVE),
        ({"hold_seconds": 5}, 15.1, LOST),
        ({"hold_seconds": 5}, 255.0, LOST),
        ({"hold_seconds": 5}, 255.1, GONE),
        ({"remove_seconds": 0}, 120.1, GONE),
    ],
)
def test_phase_by_configuration(changes, age_s, phase):
    """The times are options; a hold shorter than LIVE skips STALE and never shortens LIVE."""
    assert phase is phase_of(age_s, evolve(CONFIGURATION, **changes))
