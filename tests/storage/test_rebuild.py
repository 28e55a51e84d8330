"""A rebuild comes to the same rows as the running program, whatever happened to it, and leaves alone what it cannot."""

import pytest

from core.events import ReadingTaken
from core.history import DAY, MINUTE, QUARTER, Place
from core.live import Remembered
from storage.bucket_rows import place_and_battery, unpack
from storage.database import StorageError
from storage.event_log import EventLog
from storage.history_reader import TABLES, HistoryReader
from storage.rebuild import rebuild
from storage.retention import Retention
from tests.storage.lives import BATTERIES, DAY_S, HOUR_S, Device, tables
from tests.storage.logs import WALL_US, query, read_log

TIERS_BY_TABLE = {table: tier for tier, table in TABLES.items()}


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


async def a_month(path):
    """Thirty days under the usual retention; a threshold was set on the first one."""
    device = Device(path, seed=30, poll_s=90, commit_every=60)
    await device.start()
    device.change_setting("AlertThreshold", 0.1)
    await device.run(12 * HOUR_S)
    await device.kill()
    await device.run(2)
    await device.start()
    await device.run(18 * DAY_S)
    device.set_clock(-3600)
    await device.run(11.5 * DAY_S)
    await device.stop()


async def test_a_month_later_the_first_day_is_still_there(tmp_path, monkeypatch):
    """Its row of the day tier and the setting; a rebuild leaves alone what is sealed and counts the rest anew."""
    path = tmp_path / "log.db"
    await a_month(path)
    readings = [one for one in await read_log(path) if isinstance(one.fact, ReadingTaken)]
    assert 13.9 < (readings[-1].uptime_us - readings[0].uptime_us) / (DAY_S * 1e6) < 14.2
    counted = tables(path)
    assert len(counted["history_day"]) == 30
    assert unpack(counted["history_day"][0][1]).voltage_mv.count > 900, "the kill cost some minutes of the first day"
    assert len(counted["history_quarter"]) > 29.9 * 96
    assert len(counted["history_minute"]) in range(2880, 2880 + 60)

    log = await EventLog.open(path)
    remembered = Remembered()
    for one in await log.facts_since(0):
        remembered.fold(one)
    await log.close()
    assert remembered.state["settings"]["virtual_series"]["AlertThreshold"] == 0.1

    await rebuild(path, wall_us=WALL_US)
    assert tables(path) == counted

    monkeypatch.setattr("core.battery.Battery.soc_permille", 1)  # as if a decoder had been repaired
    await rebuild(path, wall_us=WALL_US)
    for name, rows in tables(path).items():
        if name == "battery":
            continue
        changed = [new != old for new, old in zip(rows, counted[name])]
        sealed = changed.index(True)
        assert all(changed[sealed:]) and not any(changed[:sealed]), name
        first = place_and_battery(rows[sealed][0])[0].bucket * TIERS_BY_TABLE[name].seconds
        if name != "history_minute":
            oldest_s = readings[0].uptime_us / 1e6
            assert oldest_s < first <= oldest_s + 300 + 2 * TIERS_BY_TABLE[name].seconds, name


async def test_what_an_older_version_recorded_is_counted_by_a_rebuild(tmp_path):
    """A log without history goes on from where it is; a rebuild adds what came before."""
    path = tmp_path / "log.db"
    device = Device(path, seed=1)
    await device.start()
    await device.run(2 * HOUR_S)
    await device.stop()
    whole = tables(path)
    for name in (*TIERS_BY_TABLE, "history_mark", "battery"):
        query(path, "DELETE FROM {}".format(name))
    log = await EventLog.open(path)
    await log.close()
    assert tables(path)["history_quarter"] == []
    counted = await rebuild(path, wall_us=WALL_US)
    assert tables(path) == whole
    assert counted == {"1min": len(whole["history_minute"]), "15min": len(whole["history_quarter"]), "1day": 0}


async def test_a_rebuild_needs_the_database_for_itself(tmp_path):
    """It refuses beside a daemon, and for a file that is not there; the daemon's history is as it was."""
    path = tmp_path / "log.db"
    with pytest.raises(StorageError, match="does not exist"):
        await rebuild(path, wall_us=WALL_US)
    device = Device(path)
    await device.start()
    await device.run(HOUR_S)
    with pytest.raises(StorageError, match="another dbus-btbattery is writing"):
        await rebuild(path, wall_us=WALL_US)
    await device.run(HOUR_S)
    await device.stop()
    assert len(tables(path)["history_minute"]) in (119, 120)


async def test_an_interrupted_rebuild_changes_nothing(tmp_path, monkeypatch):
    """Whatever stops it: old rows and marks are there."""
    path = tmp_path / "log.db"
    device = Device(path)
    await device.start()
    await device.run(30 * HOUR_S)
    await device.stop()
    before = tables(path)

    def stop(done, of):
        raise KeyboardInterrupt

    monkeypatch.setattr("core.battery.Battery.soc_permille", 1)
    with pytest.raises(KeyboardInterrupt):
        await rebuild(path, wall_us=WALL_US, progress=stop)
    assert tables(path) == before


async def test_unfinished_buckets_are_read_too(tmp_path):
    """What is not in the tables yet is counted from the end of the log, also while the daemon goes on."""
    path = tmp_path / "log.db"
    device = Device(path, commit_every=1)
    await device.start()
    await device.run(HOUR_S + 7 * 60)
    async with await HistoryReader.open(path) as reader:
        minutes = [dated async for dated in reader.buckets(MINUTE)]
        assert [dated.place.bucket for dated in minutes] == list(range(1, 68))
        since, until = Place(1, 30), Place(1, 40)
        some = [dated async for dated in reader.buckets(MINUTE, since, until)]
        assert some == minutes[29:39]
        assert [dated async for dated in reader.buckets(MINUTE, battery="ble_other")] == []
        walked = []
        async for dated in reader.buckets(QUARTER):
            walked.append(dated.place.bucket)
            await device.run(120)  # rows are stored between two of ours
        assert walked == [0, 1, 2, 3, 4]
        (day,) = [dated async for dated in reader.buckets(DAY)]
    await device.stop()
    assert day.bucket.voltage_mv.count == len([1 for one in await read_log(path) if is_pack(one)])


def is_pack(one):
    """Whether an event is an answer to request 03."""
    return isinstance(one.fact, ReadingTaken) and one.fact.frame[1] == 3


async def test_a_battery_that_is_not_there_yet_keeps_its_history(tmp_path):
    """A restart, a day without it, a rebuild: its rows are as they were, and it goes on where it comes back."""
    path = tmp_path / "log.db"
    device = Device(path, batteries=2)
    await device.start()
    await device.run(2 * HOUR_S)
    await device.stop()
    before = await rows_of(path, BATTERIES[1])
    assert len(before) >= 119

    device._batteries = BATTERIES[:1]  # the other one is switched off
    device.reboot()
    await device.start()
    await device.run(DAY_S)
    await device.stop()
    assert await rows_of(path, BATTERIES[1]) == before
    await rebuild(path, wall_us=WALL_US)
    assert await rows_of(path, BATTERIES[1]) == before

    device._batteries = BATTERIES
    await device.start()
    await device.run(HOUR_S)
    await device.stop()
    after = await rows_of(path, BATTERIES[1])
    assert after[: len(before)] == before
    assert len(after) - len(before) > 55 and after[len(before)].place.boot > 1


async def rows_of(path, battery):
    """The minutes of one battery."""
    async with await HistoryReader.open(path) as reader:
        return [dated async for dated in reader.buckets(MINUTE, battery=battery)]
