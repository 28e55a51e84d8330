"""A rebuild comes to the same rows as the running program, whatever happened to it, and leaves alone what it cannot."""

import pytest

from core.history import QUARTER
from storage.rebuild import rebuild
from storage.retention import Retention
from tests.storage.lives import DAY_S, HOUR_S, Device, tables
from tests.storage.logs import WALL_US, query


async def a_random_life(device, days):
    """Runs of some hours, ended by a stop, a kill or a power cut, with clocks that are set and silence in between."""
    rng = device.rng
    end_s, lived_s = days * DAY_S, 0
    while lived_s < end_s:
        await device.start()
        run_s = min(rng.uniform(0.05, 40) * HOUR_S, end_s - lived_s)
        for _ in range(rng.randrange(1, 4)):
            await device.run(run_s / 3)
            if rng.random() < 0.3:
                device.set_clock(rng.choice((-3600, 5, 86_400, 1_700_000_000)))
            if rng.random() < 0.3:
                device.uptime_us += rng.randrange(1, 7200) * 1_000_000  # nobody answers
        lived_s += run_s
        await rng.choice((device.stop, device.kill))()
        if rng.random() < 0.4:
            device.reboot()
        else:
            device.uptime_us += rng.randrange(1, 600) * 1_000_000
    await device.start()
    await device.run(2 * HOUR_S)
    await device.stop()


@pytest.mark.parametrize("seed", range(6))
async def test_a_rebuild_is_byte_for_byte_what_the_daemon_counted(tmp_path, seed):
    """Kills, boots, clock steps and silence, with and without retention."""
    path = tmp_path / "log.db"
    retention = Retention(readings_days=1, minutes_hours=3, quarters_days=2) if seed % 2 else None
    device = Device(path, seed=seed, batteries=1 + seed % 2, retention=retention)
    await a_random_life(device, days=3)
    counted = tables(path)
    assert (len(query(path, "SELECT 1 FROM event WHERE kind = 1")) > 0) and counted["history_quarter"]
    if retention:
        assert "readings_from" in dict(query(path, "SELECT name, value FROM history_mark"))
    rebuilt = await rebuild(path, wall_us=WALL_US)
    assert tables(path) == counted
    assert rebuilt[QUARTER.name] > 0, "something was counted again"
