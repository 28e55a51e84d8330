"""A limit is a number with its reason."""

from core.limits.limit import Limit, amperes, seconds, smallest, volts


def test_texts_nest():
    """A limit that follows from another tells the other's reason inside of its own."""
    first = Limit(10_000, "cell {} at {}", (3, volts(3450)), stops=True)
    assert first.times(0.5, "{0}; half of {1}", amperes(70_000)).text() == "cell 3 at 3.45 V; half of 70 A"
    assert first.because(1, "held ({0})").text() == "held (cell 3 at 3.45 V)"


def test_a_scaled_limit_is_still_a_stop():
    """Whether a protective cause is behind a 0 is not lost on the way."""
    stop = Limit(0, "switch off", stops=True)
    assert stop.times(2, "{0}").stops
    assert stop.because(0, "{0}").stops


def test_the_first_of_equals_is_the_strictest():
    """Equal limits do not make the reason flicker."""
    one, other, third = Limit(5, "one"), Limit(5, "other"), Limit(9, "third")
    assert smallest(third, one, other) is one
    assert smallest(third) is third


def test_numbers_as_text():
    """Exact to the mV, the mA and the millisecond."""
    assert (volts(3312), amperes(12_500), seconds(1_234_000_000)) == ("3.312 V", "12.5 A", "1234 s")
