"""Fixtures shared by all tests, and the rules of the house for hypothesis."""

import shutil
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.programs import bus_daemon

settings.register_profile("ours", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("ours")

sys.path.insert(0, str(Path(__file__).resolve().parent / "victron"))  # its scripts import each other by bare name


@pytest.fixture
def bus():
    """A private dbus-daemon."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("dbus-daemon is not installed")
    with bus_daemon() as daemon:
        yield daemon
