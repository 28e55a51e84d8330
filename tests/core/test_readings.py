"""The shared vocabulary: what a BMS does not say is not known."""

from attrs import fields

from core.readings import PackReading, Sample


def test_everything_else_is_unknown():
    """A pack reading needs voltage, current and a cell count; the rest is unknown or empty, never 0."""
    pack = PackReading(voltage_mv=13_300, current_ma=0, cell_count=4)
    rest = {attribute.name: getattr(pack, attribute.name) for attribute in fields(PackReading)[3:]}
    assert rest.pop("counts_100ma") is False, "not a reading: the unit of those that are there"
    assert set(rest.values()) == {None, ()}


def test_an_empty_sample():
    """A frame of no interest says nothing."""
    assert {getattr(Sample(), attribute.name) for attribute in fields(Sample)} == {None, ()}
