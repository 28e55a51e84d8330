"""Defaults, the owner's file over them, and errors that say file, line and what to do."""

import pytest

import config.loader
from config.loader import DEFAULT_FILE, load, read_file
from config.options import OPTIONS, ConfigError


@pytest.fixture
def owner(tmp_path):
    """Writes the owner's file."""

    def write(text):
        path = tmp_path / "config.ini"
        path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8"))
        return path

    return write


@pytest.fixture(autouse=True)
def no_file_beside(tmp_path, monkeypatch):
    """A config.ini of the developer must not decide over the tests."""
    monkeypatch.setattr(config.loader, "OWNER_FILE", "no-such-file.ini")


def failure(path):
    """The one line with which *path* is refused."""
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_defaults_load_clean():
    """The shipped file has every option once, with the value that the definition says, and no warning."""
    values, warnings = load(None)
    assert values == {name: option.default for name, option in OPTIONS.items()}
    assert warnings == []
    text = DEFAULT_FILE.read_text(encoding="utf-8")
    for name in OPTIONS:
        assert sum(line.startswith(name + " =") for line in text.splitlines()) == 1


def test_the_defaults_tell_their_ranges():
    """What the shipped file says of a range is what the program checks."""
    text = " ".join(DEFAULT_FILE.read_text(encoding="utf-8").replace(";", " ").split())
    for option in OPTIONS.values():
        if option.unit == "s":
            assert "({:g} to {:g})".format(option.lowest, option.highest) in text


def test_the_owner_overrides(owner):
    """What the owner wrote counts, everything else stays at its default."""
    values, warnings = load(owner("[DEFAULT]\nPOLL_SECONDS = 2.5\nproduct_id=0xBA77\n"))
    assert (values["POLL_SECONDS"], values["PRODUCT_ID"]) == (2.5, 0xBA77)
    assert values["HOLD_SECONDS"] == OPTIONS["HOLD_SECONDS"].default
    assert set(values) == set(OPTIONS)
    assert warnings == []


def test_a_file_beside_the_program_is_found(tmp_path, monkeypatch):
    """Without being told, ``config.ini`` beside the program is read."""
    (tmp_path / "config").mkdir()
    default = tmp_path / "config" / "default_config.ini"
    default.write_bytes(DEFAULT_FILE.read_bytes())
    monkeypatch.setattr(config.loader, "DEFAULT_FILE", default)
    monkeypatch.setattr(config.loader, "OWNER_FILE", "config.ini")
    assert load(None)[0]["POLL_SECONDS"] == 5
    (tmp_path / "config.ini").write_text("POLL_SECONDS = 7\n", encoding="utf-8")
    assert load(None)[0]["POLL_SECONDS"] == 7


@pytest.mark.parametrize(
    "text",
    [
        "; a comment\n# another\n\n   \n[DEFAULT]\n[anything else]\nPOLL_SECONDS = 3\n",
        "POLL_SECONDS = 3 ; quicker\n",
        "POLL_SECONDS=3;quicker\n",
        "  poll_seconds   =   3",
        "POLL_SECONDS = 9\nPOLL_SECONDS = 3\n",
        "POLL_SECONDS = 3\r\n; from Windows\r\n",
    ],
)
def test_the_ways_to_write_it(owner, text):
    """Comments, blanks, any case, any line ends; the last of two lines counts."""
    assert read_file(owner(text)) == ({"POLL_SECONDS": 3}, [])


def test_an_empty_file_changes_nothing(owner):
    """An owner's file without a line is fine."""
    assert load(owner(""))[0] == load(None)[0]


UNKNOWN = [
    ("POLL_SECOND = 3", "unknown option POLL_SECOND, did you mean POLL_SECONDS?"),
    ("Pol_Secnds = 3", "unknown option Pol_Secnds, did you mean POLL_SECONDS?"),
    ("SOC_LOW_ALARN = 3", "unknown option SOC_LOW_ALARN, did you mean SOC_LOW_ALARM?"),
    ("PRODUCTID = 3", "unknown option PRODUCTID, did you mean PRODUCT_ID?"),
    ("MAX_CHARGE_VOLTAGE = 3", "unknown option MAX_CHARGE_VOLTAGE"),
    ("X = 3", "unknown option X"),
]


@pytest.mark.parametrize(("line", "message"), UNKNOWN)
def test_unknown_names_are_warnings(owner, line, message):
    """An option of another version is no reason not to start; the nearest known name is suggested."""
    path = owner("[DEFAULT]\n\n" + line + "\n")
    values, warnings = load(path)
    assert warnings == ["{} line 3: {}".format(path, message)]
    assert values == load(None)[0]


BAD_LINES = [
    ("POLL_SECONDS", "'POLL_SECONDS' is no line NAME = VALUE"),
    (" = 3", "'= 3' is no line NAME = VALUE"),
    ("POLL_SECONDS 5 ; s", "'POLL_SECONDS 5' is no line NAME = VALUE"),
    ("[DEFAULT", "'[DEFAULT' is no line NAME = VALUE"),
    ("POLL_SECONDS = ", "POLL_SECONDS = '' is not a number"),
    ("POLL_SECONDS = = 5", "POLL_SECONDS = '= 5' is not a number"),
    ("POLL_SECONDS = fast", "POLL_SECONDS = 'fast' is not a number"),
    ("POLL_SECONDS = 0.5", "POLL_SECONDS = 0.5 is outside 1..60 s"),
    ("SOC_LOW_ALARM = 101", "SOC_LOW_ALARM = 101 is outside 0..100 %"),
    ("PRODUCT_ID = 65536", "PRODUCT_ID = 65536 is outside 0..65535"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_lines_are_errors(owner, line, message):
    """The file, the line number and what is wrong."""
    path = owner("; mine\n" + line + "\nHOLD_SECONDS = 20\n")
    assert failure(path) == "{} line 2: {}".format(path, message)


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"POLL_SECONDS = 5\n\xe4\n", bytes(range(256))])
def test_a_file_that_is_no_text(owner, data):
    """A binary file is told as such, not decoded into errors."""
    path = owner(data)
    assert failure(path) == "{} is not a text file".format(path)


def test_files_that_cannot_be_read(tmp_path):
    """A file that was named must be there."""
    assert failure(tmp_path / "none.ini") == "cannot read {}: No such file or directory".format(tmp_path / "none.ini")
    assert failure(tmp_path) == "cannot read {}: Is a directory".format(tmp_path)


def test_the_alarm_is_not_above_the_warning(owner):
    """Two options that contradict each other are told together, with the file that did it."""
    path = owner("SOC_LOW_ALARM = 30\n")
    assert failure(path) == "{}: SOC_LOW_ALARM = 30 is above SOC_LOW_WARNING = 20".format(path)
    path = owner("SOC_LOW_WARNING = 9.5\n")
    assert failure(path) == "{}: SOC_LOW_ALARM = 10 is above SOC_LOW_WARNING = 9.5".format(path)


@pytest.mark.parametrize("text", ["SOC_LOW_ALARM = 20\n", "SOC_LOW_WARNING = 10\n", "SOC_LOW_ALARM = 0\n"])
def test_alarm_and_warning_may_be_equal(owner, text):
    """An owner may have the alarm without a warning before it."""
    assert load(owner(text))[1] == []


def test_defaults_that_contradict_each_other_are_told(tmp_path, monkeypatch):
    """Without an owner's file the shipped one is named."""
    default = tmp_path / "default_config.ini"
    text = DEFAULT_FILE.read_text(encoding="utf-8").replace("SOC_LOW_ALARM = 10", "SOC_LOW_ALARM = 50")
    default.write_text(text, encoding="utf-8")
    monkeypatch.setattr(config.loader, "DEFAULT_FILE", default)
    assert failure(None).startswith("{}: SOC_LOW_ALARM = 50".format(default))
