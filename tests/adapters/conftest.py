"""Doubles on a private bus: BlueZ and the settings service."""

import pytest

from tests.doubles.bluez_process import bluez, bluez_with  # fixtures
from tests.doubles.settings_service import SettingsService

__all__ = ["absent", "bluez", "bluez_with", "settings"]


@pytest.fixture
def absent(bus, tmp_path):
    """A settings service that has not started; stopped at the end."""
    service = SettingsService(bus.address, tmp_path / "settings.json")
    yield service
    service.stop()


@pytest.fixture
def settings(absent):
    """A settings service on the bus."""
    absent.start()
    return absent
