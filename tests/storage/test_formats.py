"""Every session format that was ever released replays to what it replayed to then.

A golden file is what ``dbus-btbattery.py replay --print FILE`` prints. A file in ``formats`` is never changed.
"""

from pathlib import Path

import pytest

from core.events import KINDS, LinkEstablished, ReadingTaken, kind_of
from core.live import LiveView
from core.presence import Phase
from storage.session_file import SessionReader
from tests import bundled_sessions

SESSIONS = Path(__file__).resolve().parent.parent / "sessions"
FORMATS = sorted((SESSIONS / "formats").glob("*.jsonl"))
BUNDLED = sorted(bundled_sessions.SESSIONS.glob("*.jsonl"))


def events_of(path):
    """All events of a session file."""
    reader = SessionReader(path)
    try:
        return list(reader.events())
    finally:
        reader.close()


def publications_of(path):
    """All that a replay of *path* publishes."""
    view = LiveView()
    return [publication for one in events_of(path) for publication in view.fold(one)]


@pytest.mark.parametrize("path", FORMATS + BUNDLED, ids=lambda path: path.stem)
def test_a_session_replays_to_its_golden_lines(path):
    """Byte for byte, line by line."""
    golden = (SESSIONS / "golden" / (path.stem + ".txt")).read_text(encoding="utf-8").splitlines()
    assert [publication.to_json() for publication in publications_of(path)] == golden


def test_every_golden_file_belongs_to_a_session():
    """No golden file is left over, none is missing."""
    stems = [path.stem for path in FORMATS + BUNDLED]
    assert len(stems) == len(set(stems))
    assert sorted(path.stem for path in (SESSIONS / "golden").iterdir()) == sorted(stems)


SINCE_1_1 = {"AlertOpened", "AlertClosed", "HistoryPaused", "HistoryResumed", "ReadingsDeleted"}
SINCE_1_2 = {"LinkReleased", "RecoveryAttempted"}


def test_format_1_0_has_everything():
    """The first format file shows every kind and every phase, so that a later version cannot forget one."""
    path = SESSIONS / "formats" / "1.0.jsonl"
    events = events_of(path)
    kinds = {kind_of(one.fact) for one in events}
    assert set(KINDS) - SINCE_1_1 - SINCE_1_2 == kinds - {"BalancingSeen"}
    assert "BalancingSeen" in kinds - set(KINDS), "a kind that nobody knows"
    assert any(one.unread for one in events), "a field that nobody knows"
    assert any(isinstance(one.fact, ReadingTaken) and one.fact.altered for one in events)
    assert {one.boot for one in events} == {1, 2}
    assert [kind_of(one.fact) for one in events].count("SessionStarted") == 2
    published = publications_of(path)
    assert {publication.phase for publication in published} == {Phase.LIVE, Phase.STALE, Phase.LOST, Phase.GONE}
    assert [publication.change for publication in published].count("joined") == 3, "come, gone, come back, second boot"


def test_format_1_1_has_what_came_with_it():
    """Alerts, and what the log tells of itself; shown on the bus with their alarm."""
    path = SESSIONS / "formats" / "1.1.jsonl"
    assert {kind_of(one.fact) for one in events_of(path)} >= SINCE_1_1
    items = [publication.items for publication in publications_of(path)]
    counts = [each["/CellMonitor/Alerts/Count"] for each in items if "/CellMonitor/Alerts/Count" in each]
    assert counts == [0, 1, 0]
    raised = [each["/Alarms/InternalFailure"] for each in items if "/Alarms/InternalFailure" in each]
    assert raised == [0, 1, 0]


def test_a_session_that_was_killed_leaves_at_the_next_start():
    """In the format file the first session has no end: its service leaves before the second one begins."""
    published = publications_of(SESSIONS / "formats" / "1.0.jsonl")
    first = [publication for publication in published if publication.boot == 1]
    assert (first[-1].change, first[-1].uptime_s) == ("left", 200)


@pytest.mark.parametrize("name", sorted([*bundled_sessions.PLANS, *bundled_sessions.BANKS]))
def test_a_bundled_session_is_what_its_plan_builds(name):
    """The bundled sessions are what their plan makes of captured frames, or of simulated batteries."""
    assert (bundled_sessions.SESSIONS / name).read_text(encoding="utf-8") == bundled_sessions.build(name)


def test_every_bundled_session_has_a_plan():
    """No session is bundled whose frames have no source."""
    assert [path.name for path in BUNDLED] == sorted([*bundled_sessions.PLANS, *bundled_sessions.BANKS])


def test_format_1_2_has_what_came_with_it():
    """A release, recoveries and the adapter of a link; shown with the cause that several drops together have."""
    path = SESSIONS / "formats" / "1.2.jsonl"
    events = events_of(path)
    assert {kind_of(one.fact) for one in events} >= SINCE_1_2
    assert {one.fact.adapter for one in events if isinstance(one.fact, LinkEstablished)} == {"hci1 (00:00:00:00:00:03)"}
    shown = [publication.items.get("/ConnectionInformation", "") for publication in publications_of(path)]
    told = ["Released for a phone", "released)", "(battery silent)", "Reconnecting: dropped every 60 s"]
    assert all(any(text in each for each in shown) for text in told)
