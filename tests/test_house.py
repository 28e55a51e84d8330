"""The rules of the house: who may import whom, what lies where, how long things may be."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from service.cli import COMMANDS
from tests.programs import ROOT, environment

PACKAGES = ("core", "config", "migrations", "storage", "adapters", "service")
MAY_IMPORT = {
    "core": {"attrs", "core"},
    "config": {"attrs", "core", "config"},
    "storage": {"attrs", "aiosqlite", "core", "storage"},
    "adapters": {"attrs", "bleak", "dbus_next", "core", "config", "adapters"},
    "service": {"attrs", "tqdm", "core", "config", "storage", "adapters", "service"},
    "migrations": set(),
}
NOT_IN_CORE = {"asyncio", "time", "datetime", "socket", "sqlite3", "threading", "random", "logging", "subprocess"}
NOT_ON_VENUS = {
    "dataclasses",
    "statistics",
    "unittest",
    "pprint",
    "difflib",
    "venv",
    "ensurepip",
    "zoneinfo",
    "tomllib",
}
MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def _modules(*folders):
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "{}: relative import".format(path)
            yield node.module


def _top(name):
    return name.split(".")[0]


def _is_standard(name):
    if sys.version_info >= (3, 10):
        return name in sys.stdlib_module_names
    return name not in {"attrs", "aiosqlite", "bleak", "dbus_next", "hypothesis", "pytest", "tqdm", *PACKAGES, "tests"}


@pytest.mark.parametrize("package", PACKAGES)
def test_imports_follow_the_one_way_street(package):
    """A folder imports only what its row of the table allows, and the standard library."""
    for path in _modules(package):
        foreign = {_top(name) for name in _imports(path) if not _is_standard(_top(name))}
        assert foreign <= MAY_IMPORT[package], path


def test_core_reads_no_clock_and_does_no_io():
    """Time comes in with the event or as the now one asks for."""
    for path in _modules("core"):
        assert not NOT_IN_CORE & {_top(name) for name in _imports(path)}, path


def test_each_outside_library_is_known_in_one_place():
    """bleak in one module, dbus_next in one package: either can be changed in an afternoon."""
    everywhere = _modules(*PACKAGES)
    assert [p.name for p in everywhere if "bleak" in {_top(n) for n in _imports(p)}] == ["gatt.py"]
    folders = {p.parent for p in everywhere if "dbus_next" in {_top(n) for n in _imports(p)}}
    assert folders == {ROOT / "adapters" / "dbus"}


def test_nothing_needs_a_module_that_venus_lacks():
    """The Python of Venus OS comes in parts; these parts are not in the image."""
    for path in _modules(*PACKAGES):
        assert not NOT_ON_VENUS & {_top(name) for name in _imports(path)}, path


def test_nothing_is_too_long():
    """No module over 400 lines, no function over 60."""
    for path in _modules(*PACKAGES, "tests"):
        if "victron" in path.parts or "bluez" in path.parts:
            continue
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= MAX_MODULE_LINES, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                assert node.end_lineno - node.lineno < MAX_FUNCTION_LINES, (path, node.name)


def test_root_holds_what_people_and_tools_expect():
    """Nothing else lies around; core, config and the rest resolve to ours."""
    expected = {
        ".ci", ".gitignore", "CHANGELOG.md", "LICENSE", "Makefile", "README.md", "dbus-btbattery.py", "pyproject.toml",
        "scan.py", "adapters", "config", "core", "firmware", "migrations", "qml", "service", "storage", "tests",
    }  # fmt: skip
    listed = subprocess.run(["git", "ls-files"], cwd=str(ROOT), capture_output=True, text=True, check=False)
    if listed.returncode:
        pytest.skip("not a git checkout")
    assert {line.split("/")[0] for line in listed.stdout.splitlines()} == expected


def test_our_packages_win_over_others_of_the_same_name(tmp_path):
    """A folder "core" or "config" elsewhere on the path, or where we are started from, changes nothing."""
    for name in ("core", "config", "service", "storage", "adapters"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise SystemExit('the wrong {}')".format(name))
    done = subprocess.run(
        [sys.executable, str(ROOT / "dbus-btbattery.py"), "check", "sim:a"],
        cwd=str(tmp_path),
        env=environment(PYTHONPATH=str(tmp_path)),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_no_machine_or_registry_is_named():
    """No path of a developer's machine and no host of a package registry in what is committed."""
    listed = subprocess.run(["git", "ls-files"], cwd=str(ROOT), capture_output=True, text=True, check=False)
    forbidden = re.compile("/" + "work/|/" + "root/|pypi" + r"\.org|\.pyenv/" + "versions/3")
    for line in listed.stdout.splitlines():
        path = ROOT / line
        if path.suffix in (".py", ".md", ".toml", ".ini", ".sql", "") and path.is_file():
            assert not forbidden.search(path.read_text(encoding="utf-8")), line


def test_every_command_is_in_the_readme():
    """A command that the README does not show does not exist for its users."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for command in COMMANDS:
        assert "`{}".format(command) in readme or " {} ".format(command) in readme, command


def test_version_is_the_same_everywhere():
    """pyproject, program and changelog name one version."""
    from service import VERSION

    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert 'version = "{}"'.format(VERSION) in pyproject
    assert "## {}".format(VERSION) in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_documentation_of_every_public_name():
    """Every public module, class and function has a docstring."""
    for path in _modules(*PACKAGES):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert ast.get_docstring(tree), path
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert ast.get_docstring(node), (path, node.name)


def test_tests_mirror_the_tree():
    """Every package with code has a folder of tests."""
    for package in ("core", "config", "storage", "adapters", "service"):
        assert (Path(__file__).parent / package / "__init__.py").exists(), package
