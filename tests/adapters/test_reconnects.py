"""Reconnecting leaves nothing behind: tasks, descriptors, bus connections, match rules, memory."""

import logging

import pytest

from tests.reconnects import growth, reconnects

COUNT = 300


@pytest.fixture
def silent():
    """pytest keeps every line that is logged: that would be what grows."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


async def test_nothing_grows(bluez_with, silent):
    """By the slope over 300 reconnects of four batteries; ``make reconnects`` runs 10,000."""
    samples = await reconnects(bluez_with(count=4), COUNT)
    assert samples[-1].reconnects >= COUNT
    for field in ("tasks", "descriptors", "connections", "match_rules"):
        assert abs(growth(samples, field)) < 0.02, (field, samples)
    assert growth(samples, "objects") < 1, samples
    assert growth(samples, "resident_kb") < 5, samples
