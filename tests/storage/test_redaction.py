"""A redacted session says how the battery behaved and not whose it is."""

import json

from core import protocols
from core.configuration import BatteryConfiguration, Configuration
from core.events import (
    AlertClosed,
    AlertOpened,
    FrameRejected,
    LinkEstablished,
    LinkLost,
    LinkReleased,
    ReadingTaken,
    RecoveryAttempted,
    RequestUnanswered,
    SessionEnded,
    SessionStarted,
    SettingChanged,
    TaskFailed,
    UnknownFact,
)
from core.live import LiveView
from core.protocols.base import frames_of
from core.protocols.jbd.framing import answer_frame, split_answer
from storage.event_reader import EventReader
from storage.redaction import Redaction
from storage.session_export import Selection, export_session
from storage.session_file import SessionReader
from tests.frames import frame
from tests.storage.logs import event, reading, write_log

MAC, OTHER_MAC = "70:3E:97:08:00:62", "A4:C1:37:42:0B:E5"
UUID = "1A2B3C4D-1111-2222-3333-0123456789AB"
CUSTOM_NAME, DEVICE_NAME, OLD_NAME = "Villa Sonnenschein", "xiaoxiang-Peter", "Peters Boot"
SERIAL = "J-12320-250304-077"
PIN = "271828"


def identity(mac):
    """The name of a battery in events."""
    return "ble_" + mac.replace(":", "").lower()


FIRST, SECOND = identity(MAC), identity(OTHER_MAC)
CONFIGURATION = Configuration((BatteryConfiguration(FIRST, MAC), BatteryConfiguration(SECOND, OTHER_MAC))).to_payload()


def with_bytes(frame_id, offset, secret):
    """A captured frame with *secret* inside its payload, checksum right."""
    register, status, payload = split_answer(frame(frame_id))
    return answer_frame(register, payload[:offset] + secret + payload[offset + len(secret) :], status)


def module_frame(command, data):
    """A frame of the Bluetooth module, as a PIN is sent to it."""
    body = bytes([command, len(data)]) + data
    return b"\xff\xaa" + body + bytes([sum(body) & 0xFF])


def facts():
    """One session in which every field that can say something says it."""
    raw, other = bytes.fromhex(MAC.replace(":", "")), bytes.fromhex(OTHER_MAC.replace(":", ""))
    remembered = {"settings": {FIRST: {"CustomName": OLD_NAME}, SECOND: {"CustomName": ""}}}
    found = "[{}] {} vanished, {}, {}".format(MAC, MAC.lower(), OTHER_MAC.replace(":", "-"), raw.hex())
    return [
        SessionStarted("0.1.0", CONFIGURATION, remembered),
        LinkEstablished(FIRST, DEVICE_NAME, "hci0 ({})".format(OTHER_MAC)),
        LinkEstablished(SECOND),
        reading(0, FIRST),
        reading(1, FIRST),
        ReadingTaken(FIRST, "jbd", frame("jbd-068")),
        ReadingTaken(FIRST, "jbd", with_bytes("jbd-079", 4, raw)),
        ReadingTaken(FIRST, "jbd", with_bytes("jbd-079", 4, raw[::-1])),
        ReadingTaken(SECOND, "jbd", with_bytes("jbd-034", 12, other)),
        ReadingTaken(SECOND, "jbd", with_bytes("jbd-046", 0, other[::-1])),
        ReadingTaken(SECOND, "jbd", answer_frame(0x04, other.hex().upper().encode())),
        ReadingTaken(SECOND, "jbd", answer_frame(0xA2, PIN.encode())),
        ReadingTaken(FIRST, "jbd", answer_frame(0x05, b"", 0x80)),
        FrameRejected(FIRST, "jbd", "not asked for", module_frame(0x15, PIN.encode())),
        FrameRejected(FIRST, "jbd", "not part of a frame", b"\x06" + PIN.encode()),
        FrameRejected(FIRST, "jbd", "checksum wrong", frame("jbd-068")[:-1]),
        FrameRejected(FIRST, "jbd", "truncated", frame("jbd-034")[:10] + raw),
        FrameRejected(FIRST, "jbd", "truncated", b"\xdd"),
        SettingChanged(FIRST, "CustomName", CUSTOM_NAME),
        SettingChanged(FIRST, "Limit", 5),
        RequestUnanswered(SECOND, "0x05", 3),
        TaskFailed("reader of " + FIRST, found),
        LinkLost(SECOND, "connect failed", "{} {}".format(found, UUID)),
        UnknownFact("Later", 1, {"name": DEVICE_NAME, "mac": MAC}),
        reading(0, FIRST),
        reading(1, FIRST),
        SessionEnded("stopped"), LinkReleased(FIRST, 15), RecoveryAttempted(SECOND, "forget device", "dropped"),
    ]  # fmt: skip


def secrets():
    """Every text that must not be in a redacted file, lower case."""
    texts = [CUSTOM_NAME, DEVICE_NAME, OLD_NAME, SERIAL, PIN, UUID]
    for mac in (MAC, OTHER_MAC):
        parts = mac.split(":")
        for order in (parts, parts[::-1]):
            texts += [separator.join(order) for separator in (":", "-", "_", "")]
    return [text.lower() for text in texts]


async def redacted(folder, stored):
    """Raw text and events of the redacted export of *stored*."""
    events = [event(n, fact, unread={"also": MAC} if n == 2 else None) for n, fact in enumerate(stored, 1)]
    await write_log(folder / "log.db", events)
    async with await EventReader.open(folder / "log.db") as reader:
        await export_session(reader, folder / "s.jsonl", Selection(), writer="x", redact=True)
    session = SessionReader(folder / "s.jsonl")
    try:
        assert session.header.redacted
        kept = list(session.events())
    finally:
        session.close()
    return (folder / "s.jsonl").read_text(encoding="utf-8"), events, kept


def assert_no_trace(text):
    """No secret is in *text*, as text or as the hex of its bytes."""
    lower = text.lower()
    for secret in secrets():
        assert secret not in lower
        assert secret.encode().hex() not in lower
    for secret in (CUSTOM_NAME, DEVICE_NAME, OLD_NAME, SERIAL, UUID, MAC, OTHER_MAC):
        assert secret.encode().hex() not in lower
        assert secret.upper().encode().hex() not in lower


async def test_the_unredacted_file_has_all_of_it(tmp_path):
    """The search finds what it looks for, so that finding nothing means something."""
    await redacted(tmp_path, facts())
    async with await EventReader.open(tmp_path / "log.db") as reader:
        await export_session(reader, tmp_path / "plain.jsonl", Selection(), writer="x")
    lower = (tmp_path / "plain.jsonl").read_text(encoding="utf-8").lower()
    for secret in (CUSTOM_NAME, DEVICE_NAME, OLD_NAME, UUID, MAC, OTHER_MAC.replace(":", "-")):
        assert secret.lower() in lower
    for secret in (SERIAL, PIN):
        assert secret.encode().hex() in lower
    for raw in (bytes.fromhex(MAC.replace(":", "")), bytes.fromhex(OTHER_MAC.replace(":", ""))):
        assert raw.hex() in lower and raw[::-1].hex() in lower


async def test_no_trace_is_left(tmp_path):
    """No address, name, serial number or PIN is anywhere in the file, in any spelling."""
    text, _, kept = await redacted(tmp_path, facts())
    assert_no_trace(text)
    assert "also" not in text
    assert len(kept) == len(facts()) - 2, "only the unknown kind and the frame of the module went"


async def test_frames_stay_valid_and_say_whether_they_were_altered(tmp_path):
    """Every reading is a frame that the assembler takes, and marked exactly if it is not what the BMS sent."""
    _, before, kept = await redacted(tmp_path, facts())
    original = {one.number: one.fact for one in before}
    altered = []
    for one in kept:
        if isinstance(one.fact, ReadingTaken):
            assert frames_of(protocols.find("jbd").assembler().feed(one.fact.frame)) == [one.fact.frame]
            assert one.fact.altered == (one.fact.frame != original[one.number].frame)
            assert len(one.fact.frame) == len(original[one.number].frame)
            altered.append(one.fact.altered)
    assert altered == [False, False, True, True, True, True, True, True, True, False, False, False]


async def test_what_was_altered_before_stays_marked(tmp_path):
    """A session that is redacted a second time keeps its marks."""
    stored = [facts()[0], ReadingTaken(FIRST, "jbd", frame("jbd-034"), altered=True)]
    _, _, kept = await redacted(tmp_path, stored)
    assert kept[1].fact.altered


async def test_what_charge_control_remembers(tmp_path):
    """Capacities and charge states are kept, by stand-ins; a name of the bank goes, its topology and numbers stay."""
    charge = {
        "phase": "Float",
        "absorbing_s": 12,
        "soc_was_high": True,
        "absorbed_s": {FIRST: 900, SECOND: 0},
        "float_target_mv": {"{} {}".format(SECOND, FIRST): 53_600},
    }
    remembered = {
        "settings": {"virtual_series": {"CustomName": CUSTOM_NAME}, FIRST: {"CustomName": OLD_NAME}},
        "capacities_mah": {FIRST: 100_000, SECOND: 280_000},
        "charge": charge,
        "of a later version": {"name": DEVICE_NAME},
    }
    start = SessionStarted("0.2.0", CONFIGURATION, remembered)
    stored = [start, SettingChanged("virtual_series", "CustomName", CUSTOM_NAME), reading(0, FIRST)]
    text, _, kept = await redacted(tmp_path, stored)
    assert_no_trace(text)
    first, second = "ble_000000000001", "ble_000000000002"
    assert kept[0].fact.remembered == {
        "settings": {"virtual_series": {"CustomName": "name 1"}, first: {"CustomName": "name 2"}},
        "capacities_mah": {first: 100_000, second: 280_000},
        "charge": {
            **charge,
            "absorbed_s": {first: 900, second: 0},
            "float_target_mv": {"{} {}".format(second, first): 53_600},
        },
    }
    assert kept[1].fact == SettingChanged("virtual_series", "CustomName", "name 1")


async def test_what_is_remembered_of_a_former_battery(tmp_path):
    """A battery that is not configured any more has a stand-in, the same one in every part."""
    only = {**CONFIGURATION, "batteries": CONFIGURATION["batteries"][:1]}
    remembered = {"capacities_mah": {SECOND: 280_000}, "charge": {"absorbed_s": {SECOND: 5}}}
    text, _, kept = await redacted(tmp_path, [SessionStarted("0.2.0", only, remembered)])
    assert_no_trace(text)
    assert kept[0].fact.remembered == {
        "settings": {},
        "capacities_mah": {"ble_000000000002": 280_000},
        "charge": {"absorbed_s": {"ble_000000000002": 5}},
    }


async def test_remembered_alerts(tmp_path):
    """Alerts keep their numbers and times under the stand-in of their battery; one that cannot be read goes."""
    moment = {"boot": 1, "uptime_us": 5, "wall_us": 6}
    alert = {
        "battery": SECOND, "alert": "imbalance", "spread_mv": 210, "threshold_mv": 200, "lowest_cell": 1,
        "lowest_mv": 3200, "highest_cell": 2, "highest_mv": 3410, "opened": moment, "closed": None,
    }  # fmt: skip
    remembered = {"settings": {}, "alerts": [{**alert, "of a later version": MAC}, {"battery": MAC}, alert]}
    stored = [
        SessionStarted("0.3.0", CONFIGURATION, remembered),
        AlertClosed(SECOND, "imbalance", 12),
        AlertOpened(FIRST, "imbalance", 210, 200, 1, 3200, 2, 3410),
    ]
    text, _, kept = await redacted(tmp_path, stored)
    assert_no_trace(text)
    second = {**alert, "battery": "ble_000000000002"}
    assert kept[0].fact.remembered == {"settings": {}, "alerts": [second, second]}
    assert [each.fact.battery for each in kept[1:]] == ["ble_000000000002", "ble_000000000001"]
    view = LiveView()
    shown = [publication for each in kept for publication in view.fold(each)]
    assert_no_trace(repr(shown))


async def test_what_was_not_remembered_is_not_invented(tmp_path):
    """A session of version 0.1 knows nothing of charge and capacities, and its redaction neither."""
    _, _, kept = await redacted(tmp_path, [SessionStarted("0.1.0", CONFIGURATION, {"settings": {}})])
    assert kept[0].fact.remembered == {"settings": {}}


async def test_one_stand_in_everywhere(tmp_path):
    """A battery has one new name, in the header, the configuration, what was remembered and every event."""
    text, before, kept = await redacted(tmp_path, facts())
    numbers = {one.number: one.fact for one in kept}
    stand_ins = {}
    for one in before:
        battery = getattr(one.fact, "battery", None)
        if battery and one.number in numbers:
            stand_ins.setdefault(battery, set()).add(numbers[one.number].battery)
    assert stand_ins == {FIRST: {"ble_000000000001"}, SECOND: {"ble_000000000002"}}
    start = kept[0].fact
    batteries = [(battery["battery"], battery["address"]) for battery in start.configuration["batteries"]]
    assert batteries == [("ble_000000000001", "00:00:00:00:00:01"), ("ble_000000000002", "00:00:00:00:00:02")]
    assert set(start.remembered["settings"]) == {"ble_000000000001", "ble_000000000002"}
    assert json.loads(text.splitlines()[0])["configuration"] == start.configuration


async def test_what_says_nothing_stays(tmp_path):
    """Measurements, causes, counts and empty names are as they were."""
    _, before, kept = await redacted(tmp_path, facts())
    original, numbers = {one.number: one for one in before}, {one.number: one for one in kept}
    assert all(
        one.uptime_us == original[n].uptime_us and one.wall_us == original[n].wall_us for n, one in numbers.items()
    )
    assert numbers[4].fact.frame == frame("jbd-034")
    assert kept[0].fact.remembered["settings"]["ble_000000000002"] == {"CustomName": ""}
    assert numbers[3].fact == LinkEstablished("ble_000000000002", None)
    assert numbers[20].fact.value == 5
    assert numbers[21].fact == RequestUnanswered("ble_000000000002", "0x05", 3)
    assert numbers[23].fact.cause == "connect failed"
    assert numbers[27].fact == SessionEnded("stopped")
    assert [numbers[n].fact.data for n in (15, 18)] == [bytes(7), bytes(1)]


def publications(events):
    """How often what is published changes."""
    view = LiveView()
    return [(p.uptime_s, p.phase, p.change) for one in events for p in view.fold(one)]


async def test_it_replays_the_same(tmp_path):
    """The redacted session publishes at the same instants, in the same phases."""
    stored = [SessionStarted("0.1.0", CONFIGURATION), *facts()[1:]]
    _, before, kept = await redacted(tmp_path, stored)
    assert len(publications(before)) > 5
    assert publications(kept) == publications(before)


async def test_simulated_and_recorded_batteries_get_stand_ins_too(tmp_path):
    """A name that an owner chose for a simulated battery is a name."""
    configuration = Configuration((BatteryConfiguration("sim_villa", "villa", connection="Simulated"),)).to_payload()
    text, _, kept = await redacted(tmp_path, [SessionStarted("0.1.0", configuration), reading(0, "sim_villa")])
    assert "villa" not in text
    assert kept[1].fact.battery == "sim_battery1"
    assert kept[0].fact.configuration["batteries"][0]["address"] == "battery1"


async def test_an_address_of_another_system_is_replaced(tmp_path):
    """Where addresses are UUIDs they go as well."""
    configuration = Configuration((BatteryConfiguration("ble_mac_os", UUID),)).to_payload()
    text, _, kept = await redacted(tmp_path, [SessionStarted("0.1.0", configuration), reading(0, "ble_mac_os")])
    assert UUID not in text
    assert "mac_os" not in text
    assert kept[1].fact.battery == kept[0].fact.configuration["batteries"][0]["battery"]


async def test_a_battery_that_is_not_configured_gets_a_stand_in(tmp_path):
    """An event about a battery of a former configuration is redacted like the others."""
    only = {**CONFIGURATION, "batteries": CONFIGURATION["batteries"][1:]}
    stored = [SessionStarted("0.1.0", only), reading(0, FIRST), LinkLost(FIRST, "gone")]
    text, _, kept = await redacted(tmp_path, stored)
    assert_no_trace(text)
    assert len({one.fact.battery for one in kept[1:]}) == 1


def test_a_frame_that_must_go_altogether_goes(monkeypatch):
    """A protocol may say that nothing of a frame can be kept."""
    jbd = protocols.find("jbd")
    monkeypatch.setattr(jbd, "redact", lambda frame, secrets: None, raising=False)
    assert Redaction().event(event(1, reading())) is None


def texts_after(*stored):
    """The free texts of redacted facts, behind the usual session start."""
    redaction = Redaction()
    kept = [redaction.event(event(n, fact)).fact for n, fact in enumerate((facts()[0], *stored), 1)]
    return [(fact.task, fact.error) if isinstance(fact, TaskFailed) else fact.detail for fact in kept[1:]]


def test_a_bluez_path_is_redacted():
    """The path of a device in BlueZ spells its address with underscores."""
    path = "/org/bluez/hci0/dev_70_3E_97_08_00_62"
    for text in texts_after(
        LinkLost(FIRST, "connect failed", "no " + path), LinkLost(FIRST, "x", path + "/service0010")
    ):
        assert "70_3E_97" not in text


def test_the_stand_in_is_kept_in_texts():
    """A text that names a battery still says which one it was."""
    assert texts_after(TaskFailed("reader of " + SECOND, "x")) == [("reader of ble_000000000002", "x")]


def test_a_name_that_begins_like_another_is_not_mixed_up():
    """sim_a and sim_ab are two batteries, in texts as well."""
    redaction = Redaction()
    redaction.configuration(
        {"batteries": [{"battery": "sim_a", "address": "a"}, {"battery": "sim_ab", "address": "ab"}]}
    )
    assert redaction.event(event(1, TaskFailed("reader of sim_ab", ""))).fact.task == "reader of sim_battery2"


def test_a_name_in_a_text_is_redacted():
    """An error may quote the name of the device or the one its owner gave."""
    stored = (LinkEstablished(FIRST, DEVICE_NAME), SettingChanged(FIRST, "CustomName", CUSTOM_NAME))
    redaction = Redaction()
    for number, fact in enumerate((facts()[0], *stored), 1):
        redaction.event(event(number, fact))
    failed = TaskFailed("reader", "{} and {} and {}".format(DEVICE_NAME, CUSTOM_NAME, OLD_NAME))
    assert_no_trace(redaction.event(event(4, failed)).fact.error)


async def test_a_name_behind_the_beginning_of_a_measurement_goes(tmp_path):
    """After a reconnect a broken measurement and a broken name can be one run of rejected bytes."""
    run_together = frame("jbd-034")[:20] + frame("jbd-068")[:-3] + b"\x00\x00\x77"
    text, _, _ = await redacted(tmp_path, [facts()[0], FrameRejected(FIRST, "jbd", "truncated", run_together)])
    assert_no_trace(text)


async def test_two_names_replay_the_same(tmp_path):
    """Names get stand-ins that differ where the names differ, so a change of name is still a change."""
    stored = [*facts()[:5], SettingChanged(FIRST, "CustomName", "a"), reading(0, FIRST), reading(1, FIRST)]
    stored += [SettingChanged(FIRST, "CustomName", "b"), reading(0, FIRST), reading(1, FIRST)]
    _, before, kept = await redacted(tmp_path, stored)
    assert publications(kept) == publications(before)


async def test_a_battery_that_is_configured_later_is_redacted_in_frames(tmp_path):
    """A battery of a former session, remembered by name, comes back: its address is looked for from then on."""
    remembered = {"settings": {SECOND: {"CustomName": "x"}}}
    only = {**CONFIGURATION, "batteries": CONFIGURATION["batteries"][:1]}
    secret = bytes.fromhex(OTHER_MAC.replace(":", ""))
    stored = [
        SessionStarted("0.1.0", only, remembered),
        SessionEnded("stopped"),
        SessionStarted("0.1.0", CONFIGURATION),
    ]
    stored.append(ReadingTaken(SECOND, "jbd", with_bytes("jbd-079", 4, secret)))
    text, _, _ = await redacted(tmp_path, stored)
    assert_no_trace(text)
