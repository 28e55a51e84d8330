"""A link's projection: up or down, and the cause that several losses together show."""

import pytest

from core import link_causes
from core.events import Event, LinkEstablished, LinkLost, LinkReleased, ReadingTaken
from core.link import LinkHealth
from core.link_causes import BEAT, DROPPED, NOT_FOUND, SILENT, UNKNOWN, explain


def at(uptime_s, fact):
    """*fact* as an event."""
    return Event(1, 1, int(uptime_s * 1e6), 0, fact)


def lived(lives, pause_s=3, cause=DROPPED):
    """The health of a link that lived for so many seconds each time."""
    health, now_s = LinkHealth(), 100.0
    for life_s in lives:
        health.fold(at(now_s, LinkEstablished("b")))
        now_s += life_s
        health.fold(at(now_s, LinkLost("b", cause)))
        now_s += pause_s
    return health


def test_up_down_and_up_again():
    """A cause belongs to the darkness, and ends with it."""
    health = LinkHealth()
    assert (health.up, health.cause) == (False, None)
    assert health.fold(at(1, LinkLost("b", NOT_FOUND, "hci0")))
    assert (health.up, health.cause, health.detail) == (False, NOT_FOUND, "hci0")
    assert health.fold(at(2, LinkEstablished("b", "JBD", "hci0 (00:AA:01:00:00:00)")))
    assert (health.up, health.cause, health.detail) == (True, None, "")
    assert health.fold(at(3, LinkLost("b", DROPPED)))
    assert health.fold(at(4, LinkEstablished("b", "JBD")))
    assert not health.fold(at(5, ReadingTaken("b", "jbd", b"")))


@pytest.mark.parametrize(
    ("lives", "cause"),
    [
        ([60, 60, 60], BEAT), ([57, 58, 56], BEAT), ([51, 69, 60, 60], BEAT),
        ([60, 60], DROPPED), ([60, 60, 200], DROPPED), ([60, 200, 60, 60], DROPPED),
        ([49, 40, 30], DROPPED), ([75, 75, 75, 75], DROPPED),
    ],
)  # fmt: skip
def test_three_drops_at_the_beat_of_a_minute(lives, cause):
    """vesmart-server's; anything else is a drop."""
    assert lived(lives).cause == cause


def test_the_beat_is_counted_from_drop_to_drop_too():
    """Coming back takes some of the minute: 45 s up and 15 s down is the same beat."""
    assert lived([45, 45, 45], pause_s=15).cause == DROPPED
    assert lived([45, 45, 45, 45], pause_s=15).cause == BEAT


def test_another_cause_is_no_beat():
    """Three silences a minute apart are silences, and end a count."""
    assert lived([60] * 5, cause=SILENT).cause == SILENT
    health = lived([60, 60])
    for now_s, fact in ((300, LinkEstablished("b")), (360, LinkLost("b", SILENT)), (363, LinkEstablished("b"))):
        health.fold(at(now_s, fact))
    health.fold(at(423, LinkLost("b", DROPPED)))
    assert health.cause == DROPPED


def test_attempts_that_fail_in_between_do_not_hide_the_beat():
    """They are not losses of a link."""
    health, now_s = LinkHealth(), 100
    for _ in range(3):
        health.fold(at(now_s, LinkEstablished("b")))
        health.fold(at(now_s + 58, LinkLost("b", DROPPED)))
        if health.cause != BEAT:
            health.fold(at(now_s + 60, LinkLost("b", NOT_FOUND)))
        now_s += 62
    assert health.cause == BEAT


def test_released_minutes_count_down_to_nothing():
    """Begun minutes count; 0 ends it at once."""
    health = LinkHealth()
    assert health.released_min(5) == 0
    assert health.fold(at(100, LinkReleased("b", 2)))
    assert [health.released_min(int(s * 1e6)) for s in (100, 101, 159, 160, 219.5, 220, 900)] == [2, 2, 2, 1, 1, 0, 0]
    health.fold(at(130, LinkReleased("b", 0)))
    assert health.released_min(130_000_000) == 0


def test_every_cause_is_explained():
    """What it means, in words that fit behind a colon; an unknown one has none."""
    names = [name for name in vars(link_causes) if name.isupper() and name[0] != "_"]
    causes = {vars(link_causes)[name] for name in names}
    assert len(causes) >= 25
    for cause in causes:
        meaning = explain(cause).meaning
        assert meaning[0].islower() or meaning.startswith("BlueZ"), cause
        assert not meaning.endswith("."), cause
    assert explain("something of a later version") == ("", "")
    assert explain(UNKNOWN).remedy == ""
