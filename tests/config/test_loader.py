"""Defaults, the owner's file over them, the command line over both, and errors that say file, line and what to do."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import config.loader
from config.loader import DEFAULT_FILE, load, load_battery, read_file
from config.option_types import Number, NumberList
from config.options import IGNORED, OPTIONS, SUCCESSORS, ConfigError
from config.values import OWNER

LFP_FILE = Path(__file__).parent / "lfp_config.ini"


def failure(path, *settings):
    """The one line with which *path* is refused."""
    with pytest.raises(ConfigError) as caught:
        load(path, settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def by_name(values):
    """Plain values, to compare."""
    return dict(values.by_name)


def test_the_defaults_load_clean():
    """The shipped file has every option once, with the value that the definition says, and no warning."""
    values, warnings = load(None)
    assert by_name(values) == {name: option.default for name, option in OPTIONS.items()}
    assert by_name(read_file(DEFAULT_FILE, OWNER)[0]) == by_name(values)
    assert warnings == []
    lines = DEFAULT_FILE.read_text(encoding="utf-8").splitlines()
    for name in (*OPTIONS, *IGNORED):
        assert sum(line.startswith((name + " =", name + "=")) for line in lines) == 1, name
    for name, value in IGNORED.items():
        assert "{} = {}".format(name, value) in lines


def _comments():
    """What the shipped file says above each option: a comment holds for all lines up to the next one."""
    comment, open_, comments = [], False, {}
    for line in DEFAULT_FILE.read_text(encoding="utf-8").splitlines():
        if line.startswith(";"):
            comment = [*comment, line.strip("; ")] if open_ else [line.strip("; ")]
            open_ = True
        elif "=" in line:
            open_ = False
            comments[line.partition("=")[0].strip()] = " ".join(comment)
        elif open_:
            comment, open_ = [], False
    return comments


def test_the_defaults_tell_ranges_and_units():
    """What the shipped file says of an option is what the program checks."""
    comments = _comments()
    for name, option in OPTIONS.items():
        comment = comments[name]
        assert len(comment) > 20, name
        if isinstance(option.type, (Number, NumberList)) and "TEMPERATURE" not in name:
            span = "({:g} to {:g})".format(option.type.lowest, option.type.highest)
            assert span in comment or "_T_" in name or "CV_" in name, (name, comment)
        if option.unit in ("s", "%", "A", "Ah", "V") and name != "ABSORPTION_MAX_SEC":
            words = re.findall(r"[\w%]+", comment)
            assert option.unit in words, (name, comment)
        assert ("not used yet" in comment.lower()) == ("(not used yet)" in option.meaning), name


def test_the_defaults_tell_what_is_per_battery():
    """The scope that the shipped file says is the one that is checked."""
    tables = ("CCCM_", "DCCM_", "CC_", "DC_", "CELL_VOLTAGES_", "TEMPERATURE_", "MAX_CHARGE_", "MAX_DISCHARGE_")
    for name, comment in _comments().items():
        if name in OPTIONS and not name.startswith(tables):
            assert ("per battery" in comment.lower()) == OPTIONS[name].per_battery, name


def test_the_lithium_profile_loads_clean():
    """The profile that people carried over from the former program needs no change."""
    values, warnings = load(LFP_FILE)
    assert warnings == []
    assert values["TIME_TO_SOC_POINTS"] == (100, 90, 80, 50, 20, 10, 0)
    assert (values["DC_SOC_LIMIT1"], values["DC_SOC_LIMIT2"], values["DCCM_SOC_ENABLE"]) == (0, 7, False)
    assert (values["MAX_CELL_VOLTAGE"], values["BMS_TYPE"], values["BATTERY_CAPACITY"]) == (3.56, "jbd", 305)
    assert len(values["TEMPERATURE_LIMITS_WHILE_CHARGING"]) == 10


def test_the_owner_overrides(owner):
    """What the owner wrote counts, everything else stays at its default."""
    values, warnings = load(owner("[DEFAULT]\nPOLL_SECONDS = 2.5\nproduct_id=0xBA77\n"))
    assert (values["POLL_SECONDS"], values["PRODUCT_ID"]) == (2.5, 0xBA77)
    assert values["HOLD_SECONDS"] == OPTIONS["HOLD_SECONDS"].default
    assert set(values.by_name) == set(OPTIONS)
    assert warnings == []


def test_the_command_line_overrides_both(owner):
    """The last of two settings counts; a switch for the topology wins over a setting."""
    path = owner("POLL_SECONDS = 2\nHOLD_SECONDS = 30\nTOPOLOGY = separate\n")
    values, warnings = load(path, ["poll_seconds=3", " POLL_SECONDS = 4 ", "TOPOLOGY=series"])
    assert (values["POLL_SECONDS"], values["HOLD_SECONDS"], values["TOPOLOGY"]) == (4, 30, "series")
    assert load(path, ["TOPOLOGY=series"], ("--parallel", "parallel"))[0]["TOPOLOGY"] == "parallel"
    assert warnings == []


def test_what_was_typed_is_known(owner):
    """A topology of the command line is told from one of a file."""
    path = owner("TOPOLOGY = parallel\n")
    assert not load(path)[0].typed("TOPOLOGY")
    assert load(path, ["TOPOLOGY=series"])[0].typed("TOPOLOGY")
    assert load(path, [], ("--series", "series"))[0].typed("TOPOLOGY")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("POLL_SECONDS=0", "POLL_SECONDS = 0 is outside 1..60 s"),
        ("POLL_SECONDS", "'POLL_SECONDS' is no line NAME = VALUE"),
        ("SOC_LOW_ALARM=30", "SOC_LOW_ALARM = 30 is above SOC_LOW_WARNING = 20"),
        ("TOPOLOGY=ring", "TOPOLOGY = 'ring' is none of series, parallel, separate"),
    ],
)
def test_errors_of_the_command_line_name_it(setting, message):
    """The place is ``--set``."""
    assert failure(None, setting) == "--set: " + message


def test_unknown_names_on_the_command_line_are_warnings():
    """The same as in a file: an update that drops an option stops nobody."""
    assert load(None, ["POLL_SECOND=3"])[1] == ["--set: unknown option POLL_SECOND, did you mean POLL_SECONDS?"]


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
        "\ufeffPOLL_SECONDS = 3\n",
        "[DEFAULT] ; all of them\nPOLL_SECONDS = 3\n",
    ],
)
def test_the_ways_to_write_it(owner, text):
    """Comments, blanks, any case, any line ends, a byte order mark; the last of two lines counts."""
    values, warnings = read_file(owner(text), OWNER)
    assert (by_name(values), warnings) == ({"POLL_SECONDS": 3}, [])


def test_an_empty_file_changes_nothing(owner):
    """An owner's file without a line is fine."""
    assert by_name(load(owner(""))[0]) == by_name(load(None)[0])


UNKNOWN = [
    ("POLL_SECOND = 3", "unknown option POLL_SECOND, did you mean POLL_SECONDS?"),
    ("Pol_Secnds = 3", "unknown option Pol_Secnds, did you mean POLL_SECONDS?"),
    ("SOC_LOW_ALARN = 3", "unknown option SOC_LOW_ALARN, did you mean SOC_LOW_ALARM?"),
    ("PRODUCTID = 3", "unknown option PRODUCTID, did you mean PRODUCT_ID?"),
    ("MAX_CHARGE_CURRENT_CV = 3", "unknown option MAX_CHARGE_CURRENT_CV, did you mean MAX_CHARGE_CURRENT_CV_FRACTION?"),
    ("MAX_CHARGE_CURENT = 3", "unknown option MAX_CHARGE_CURENT, did you mean MAX_CHARGE_CURRENT_CV_FRACTION?"),
    ("GARDEN = 3", "unknown option GARDEN"),
    ("X = 3", "unknown option X"),
    ("\x1b[2J = 3", r"unknown option '\x1b[2J'"),
    ("A" * 200 + " = 3", "unknown option " + "A" * 80),
    *[
        ("{} = 3".format(old), "unknown option {}, did you mean {}?".format(old, new))
        for old, new in SUCCESSORS.items()
    ],
]


@pytest.mark.parametrize(("line", "message"), UNKNOWN)
def test_unknown_names_are_warnings(owner, line, message):
    """An option of another version or driver is no reason not to start; the nearest known name is suggested."""
    path = owner("[DEFAULT]\n\n" + line + "\n")
    values, warnings = load(path)
    assert warnings == ["{} line 3: {}".format(path, message)]
    assert by_name(values) == by_name(load(None)[0])


def test_one_warning_for_each_unknown_name(owner):
    """A name that comes twice is told once, at its first line."""
    path = owner("GARDEN = 1\nSHED = 1\ngarden = 2\n")
    expected = ["{} line 1: unknown option GARDEN".format(path), "{} line 2: unknown option SHED".format(path)]
    assert load(path)[1] == expected


@pytest.mark.parametrize("name", IGNORED)
def test_options_of_serial_devices_are_ignored_quietly(owner, name):
    """They stand in every file that was copied from the former program."""
    assert load(owner("{} = anything at all\n".format(name)))[1] == []


BAD_LINES = [
    ("POLL_SECONDS", "'POLL_SECONDS' is no line NAME = VALUE"),
    (" = 3", "'= 3' is no line NAME = VALUE"),
    ("POLL_SECONDS 5 ; s", "'POLL_SECONDS 5' is no line NAME = VALUE"),
    ("[DEFAULT", "'[DEFAULT' is no line NAME = VALUE"),
    ("PASSWORD: 123456", "(hidden) is no line NAME = VALUE"),
    ("PASSWORD = 12345", "PASSWORD = (hidden) is not the six ASCII characters that a JBD Bluetooth module wants"),
    ("PASSWORD = 123 456", "PASSWORD = (hidden) is longer than 32 characters, or has others than ASCII"),
    ("POLL_SECONDS = ", "POLL_SECONDS = '' is not a number"),
    ("POLL_SECONDS = = 5", "POLL_SECONDS = '= 5' is not a number"),
    ("POLL_SECONDS = fast", "POLL_SECONDS = 'fast' is not a number"),
    ("POLL_SECONDS = 0.5", "POLL_SECONDS = 0.5 is outside 1..60 s"),
    ("SOC_LOW_ALARM = 101", "SOC_LOW_ALARM = 101 is outside 0..100 %"),
    ("PRODUCT_ID = 65536", "PRODUCT_ID = 65536 is outside 0..65535"),
    ("CVCM_ENABLE = maybe", "CVCM_ENABLE = 'maybe' is neither True nor False"),
    ("CELL_VOLTAGES_WHILE_CHARGING = 3.5, 3.5", "CELL_VOLTAGES_WHILE_CHARGING = 3.5, 3.5 neither rises nor falls by"),
    ("CELL_COUNT = 33", "CELL_COUNT = 33 is outside 0 or 1..32"),
    ("BMS_TYPE = acme", "BMS_TYPE = 'acme' is no BMS family; known: jbd"),
    ("BT_WATCHDOG_TIMEOUT = 9", "BT_WATCHDOG_TIMEOUT = 9 is outside 0 or 10..3600 s"),
]


@pytest.mark.parametrize(("line", "message"), BAD_LINES)
def test_bad_lines_are_errors(owner, line, message):
    """The file, the line number and what is wrong."""
    path = owner("; mine\n" + line + "\nHOLD_SECONDS = 20\n")
    assert failure(path).startswith("{} line 2: {}".format(path, message))


@pytest.mark.parametrize("data", [b"\xff\xfe\x00", b"POLL_SECONDS = 5\n\xe4\n", bytes(range(256))])
def test_a_file_that_is_no_text(owner, data):
    """A binary file is told as such, not decoded into errors."""
    path = owner(data)
    assert failure(path) == "{} is not a text file".format(path)


def test_files_that_cannot_be_read(tmp_path):
    """A file that was named must be there."""
    assert failure(tmp_path / "none.ini") == "cannot read {}: No such file or directory".format(tmp_path / "none.ini")
    assert failure(tmp_path) == "cannot read {}: Is a directory".format(tmp_path)
    assert failure(tmp_path / ("x" * 300)).endswith("File name too long")
    assert failure(Path("a\0b")).startswith(r"'a\x00b' is no path: ")


def test_a_file_without_end(owner):
    """A device or a log given by mistake is not read into memory."""
    assert failure(Path("/dev/zero")) == "/dev/zero is too large for a configuration"


@given(st.text(max_size=200))
def test_any_text_is_a_configuration_or_an_error(tmp_path_factory, text):
    """Whatever stands in a file, it is read or refused with one line."""
    path = tmp_path_factory.getbasetemp() / "any.ini"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    _loads_or_fails(path, [])
    _loads_or_fails(None, [text])


NAMES = st.sampled_from([*OPTIONS, *IGNORED, "GARDEN"])
TEXTS = st.one_of(
    st.text(alphabet="0123456789.,-+ eExXnaif;", max_size=30),
    st.lists(st.floats(-50, 110).map("{:.3g}".format), max_size=12).map(",".join),
    st.sampled_from(["True", "False", "0", "1", "series", "parallel", "auto", "reboot", "JBD", ""]),
)


@given(st.lists(st.tuples(NAMES, TEXTS), max_size=6))
def test_any_values_are_a_configuration_or_an_error(tmp_path_factory, lines):
    """Known names with any values, in a file, over it and in a battery's own file."""
    path = tmp_path_factory.getbasetemp() / "values.ini"
    path.write_text("\n".join("{} = {}".format(name, text) for name, text in lines), encoding="utf-8")
    _loads_or_fails(path, [])
    _loads_or_fails(None, ["{}={}".format(name, text) for name, text in lines])
    try:
        load_battery(load(None)[0], path)
    except ConfigError as error:
        assert "\n" not in str(error)


def _loads_or_fails(path, settings):
    try:
        values, _ = load(path, settings)
    except ConfigError as error:
        assert "\n" not in str(error)
    else:
        assert set(values.by_name) == set(OPTIONS)
