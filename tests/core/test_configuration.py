"""What is recorded at the start of a session decides in a replay as it did live."""

import json

import pytest
from attrs import evolve

from core.configuration import BatteryConfiguration, Configuration, configuration_from
from tests.core.made import CONFIGURATION, KNOWN

FULL = Configuration(
    (
        KNOWN,
        BatteryConfiguration("sim_b", "", protocol="jk02", label="JK", connection="Simulation", insecure_connection=0),
    ),
    device_instance=7,
    product_id=0xBA77,
    poll_seconds=2.5,
    hold_seconds=300,
    remove_seconds=60,
    soc_low_warning_pct=15.5,
    soc_low_alarm_pct=5.0,
)


@pytest.mark.parametrize("configuration", [CONFIGURATION, FULL])
def test_round_trip(configuration):
    """A configuration is the same after a trip through JSON."""
    assert configuration == configuration_from(json.loads(json.dumps(configuration.to_payload())))


def test_unknown_keys_are_passed_over():
    """What a later version records does not hinder this one, on either level."""
    payload = FULL.to_payload()
    payload["charge_control"] = True
    payload["batteries"][0]["chemistry"] = "LFP"
    assert configuration_from(payload) == FULL


def test_missing_keys_are_defaults():
    """An earlier version recorded less; a battery needs only its name."""
    expected = Configuration((BatteryConfiguration("sim_a", ""),))
    assert expected == configuration_from({"batteries": [{"battery": "sim_a"}]})


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"batteries": None},
        {"batteries": {}},
        {"batteries": []},
        {"batteries": ["a"]},
        {"batteries": [{"address": "x"}]},
        {"batteries": [{"battery": ""}]},
        {"batteries": [{"battery": "sim_a"}, {}]},
    ],
)
def test_no_battery_named(payload):
    """A configuration that does not name its batteries is refused."""
    with pytest.raises(ValueError, match="the configuration names no batteries"):
        configuration_from(payload)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"hold_seconds": "120"}, "hold_seconds = '120'"),
        ({"poll_seconds": None}, "poll_seconds = None"),
        ({"product_id": True}, "product_id = True"),
        ({"batteries": [{"battery": 5}]}, "the configuration has battery = 5"),
        ({"batteries": [{"battery": "a", "protocol": None}]}, "the configuration has protocol = None"),
        ({"batteries": [{"battery": "a", "insecure_connection": "1"}]}, "has insecure_connection = '1'"),
    ],
)
def test_wrong_type(changes, complaint):
    """A session from elsewhere may hold anything: what is no number or no text is refused by its name."""
    with pytest.raises(ValueError, match=complaint):
        configuration_from({**CONFIGURATION.to_payload(), **changes})


@pytest.mark.parametrize(("poll_seconds", "live_s"), [(1.0, 15), (5.0, 15), (5.1, 15.3), (30.0, 90.0)])
def test_live_time(poll_seconds, live_s):
    """Three polls, and 15 s at least."""
    assert live_s == pytest.approx(evolve(CONFIGURATION, poll_seconds=poll_seconds).live_s)
