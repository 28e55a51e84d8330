"""The command line. Exit codes: 0 good, 2 wrong usage or configuration, 1 anything else."""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import os
import platform
import signal
import sys
from pathlib import Path
from typing import Any, Awaitable, Callable, Optional, Sequence

from service import PROGRAM, VERSION

COMMANDS = ("run", "scan", "release", "replay", "session", "export", "at", "rebuild", "decode", "check", "version")
_BUS_HELP = (
    "session, system, private, none, or an address; default: the session bus if there is one, else the system bus"
)
_ADDRESS_HELP = (
    "70:3e:97:08:00:62, sim:NAME or session:FILE, the first two with :FILE for the battery's own options; "
    "default: the option BATTERIES"
)
_DATABASE_HELP = "path of the database; default: history.db in the folder of this program's state"


def main(argv: Optional[Sequence[str]] = None, *, clock: Any = None) -> int:
    """Run one command; return the exit code. *clock* replaces the device's in ``run``, for tests."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments and arguments[0] not in (*COMMANDS, "-h", "--help", "--version"):
        arguments.insert(0, "run")  # as people know it: dbus-btbattery.py ADDRESS
    parsed = _parser().parse_args(arguments)
    level = logging.DEBUG if getattr(parsed, "verbose", False) else logging.INFO
    logging.basicConfig(level=level, format="%(levelname)s %(message)s", stream=sys.stderr)
    for noisy in ("aiosqlite", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    logging.getLogger("bleak").setLevel(logging.ERROR)  # what fails is told by its cause, once
    return _guarded(parsed, clock)


def _guarded(parsed: argparse.Namespace, clock: Any) -> int:
    if parsed.command == "version":
        return _version()
    from adapters.dbus import BusUnavailable, NameTaken
    from config.options import ConfigError
    from core.protocols import UnknownProtocol
    from storage.database import StorageError

    try:
        return _dispatch(parsed, clock)
    except (ConfigError, UnknownProtocol) as error:
        code, message = 2, str(error)
    except (BusUnavailable, NameTaken, StorageError) as error:
        code, message = 1, str(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 1
    print("{}: {}".format(PROGRAM, message), file=sys.stderr)
    return code


def _dispatch(parsed: argparse.Namespace, clock: Any) -> int:
    """Commands import what they need: a scan needs no database, a decode no D-Bus."""
    if parsed.command == "run":
        from service.run import run_command

        return asyncio.run(run_command(parsed, clock))
    if parsed.command == "replay":
        return _replay(parsed)
    if parsed.command in ("session", "export", "at", "rebuild"):
        return _from_database(parsed)
    if parsed.command == "decode":
        from service.decode import decode_command

        return decode_command(parsed)
    if parsed.command == "scan":
        return _scan(parsed)
    return _release(parsed) if parsed.command == "release" else _check(parsed)


def _replay(parsed: argparse.Namespace) -> int:
    if parsed.compare:
        from service.compare import compare_command

        return compare_command(parsed)
    from service.replay import replay_command

    return asyncio.run(_until((signal.SIGTERM,), replay_command(parsed), 0))


def _from_database(parsed: argparse.Namespace) -> int:
    command: Awaitable[int]
    if parsed.command == "at":
        from service.at import at_command

        command = at_command(parsed)
    elif parsed.command == "export":
        from service.export import csv_command

        command = csv_command(parsed)
    elif parsed.command == "rebuild":
        from service.rebuild import rebuild_command

        command = rebuild_command(parsed)
    else:
        from service.session_commands import export_command

        command = export_command(parsed)
    # These wait for the database all the time, so that Ctrl-C, too, can end them between two steps of their own.
    return asyncio.run(_until((signal.SIGTERM, signal.SIGINT), command, 1))


async def _until(signals: Sequence[signal.Signals], command: Awaitable[int], stopped: int) -> int:
    """The exit code of *command*, or *stopped* when one of *signals* ends it; either way it has cleaned up."""
    task = asyncio.ensure_future(command)
    for each in signals:
        asyncio.get_event_loop().add_signal_handler(each, task.cancel)
    try:
        return await task
    except asyncio.CancelledError:
        return stopped


def _scan(parsed: argparse.Namespace) -> int:
    from service.scan import scan_command

    return asyncio.run(_until((signal.SIGTERM,), scan_command(parsed), 1))


def _release(parsed: argparse.Namespace) -> int:
    from service.release import release_command

    return asyncio.run(release_command(parsed))


def _check(parsed: argparse.Namespace) -> int:
    from service.check import check_command

    return check_command(parsed)


def _version() -> int:
    from importlib import metadata

    print("{} {}, Python {}".format(PROGRAM, VERSION, platform.python_version()))
    for package in ("bleak", "dbus-next", "aiosqlite", "attrs"):
        try:
            print("{} {}".format(package, metadata.version(package)))
        except metadata.PackageNotFoundError:
            print("{} is not installed".format(package))
    return 0


def _between(kind: Callable[[str], float], lowest: float, highest: float) -> Callable[[str], Any]:
    """A type for argparse that says what it expects."""

    def parse(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not lowest <= value <= highest:
            raise argparse.ArgumentTypeError("{!r} is no number from {:g} to {:g}".format(text, lowest, highest))
        return value

    return parse


_rate = _between(float, 1, 1000)
_instance = _between(int, 0, 65535)
_release_minutes = _between(int, 0, 1440)


def _speed(text: str) -> float:
    """0 stands for max."""
    return 0.0 if text == "max" else float(_between(float, 0.001, 1_000_000)(text))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="Bluetooth batteries for Victron's Venus OS.",
        epilog="PROGRAM ADDRESS is short for run.",
    )
    parser.add_argument("--version", action="version", version="{} {}".format(PROGRAM, VERSION))
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    commands.required = True
    _add_run(commands)
    _add_replay(commands)
    _add_session(commands)
    _add_export(commands)
    _add_at(commands)
    rebuild = commands.add_parser("rebuild", help="count the history anew from the readings that are kept")
    rebuild.add_argument("--database", help=_DATABASE_HELP)
    decode = commands.add_parser("decode", help="recorded bytes as JSON, one line per valid frame")
    decode.add_argument("file", help="hex lines, or JSON lines with a list 'notifications'; - is standard input")
    decode.add_argument("--protocol", default="jbd", help="BMS family, default jbd")
    _add_scan(commands)
    release = commands.add_parser(
        "release", help="free batteries for a phone app; the daemon takes them back by itself"
    )
    release.add_argument("minutes", type=_release_minutes, help="for how long, up to 1440; 0 takes them back now")
    release.add_argument("addresses", nargs="*", metavar="ADDRESS", help="default: all batteries")
    release.add_argument("--bus", help="where the daemon runs: session, system, or an address; default: as run")
    check = commands.add_parser("check", help="check configuration and addresses, do nothing else")
    _add_batteries(check)
    commands.add_parser("version", help="version of the program and of its packages")
    return parser


def _add_batteries(command: argparse.ArgumentParser) -> None:
    """What ``run`` and ``check`` have in common: the batteries and how they are configured."""
    command.add_argument("addresses", nargs="*", metavar="ADDRESS[:FILE]", help=_ADDRESS_HELP)
    together = command.add_mutually_exclusive_group()
    for letter, topology in (("-s", "series"), ("-p", "parallel")):
        together.add_argument(
            letter, "--" + topology, dest="topology", action="store_const", const=topology,
            help="the batteries are one virtual battery in " + topology,
        )  # fmt: skip
    _add_options(command)


def _add_options(command: Any) -> None:
    command.add_argument("--config", help="configuration file; default: config.ini beside the program")
    command.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="an option, over every file; may be repeated"
    )


def _add_run(commands: Any) -> None:
    run = commands.add_parser("run", help="read batteries and publish them (the daemon)")
    _add_batteries(run)
    run.add_argument("--demo", action="store_true", help="play the bundled session of real frames as a battery")
    run.add_argument("--database", help=_DATABASE_HELP)
    run.add_argument("--bus", help=_BUS_HELP)
    run.add_argument(
        "--instance", type=_instance, help="DeviceInstance of the first service; default: Venus OS assigns it"
    )
    run.add_argument("--no-settings", action="store_true", help="do without the settings service of Venus OS")
    run.add_argument("--print", action="store_true", help="write each publication as one JSON line")
    run.add_argument("--accelerate", type=_rate, default=1.0, metavar="N", help="simulated batteries: N times as fast")
    run.add_argument("--verbose", action="store_true", help="more log lines")


def _add_scan(commands: Any) -> None:
    scan = commands.add_parser(
        "scan",
        help="list Bluetooth devices and which of them may be batteries",
        description="Lists the Bluetooth devices around, those that look like a supported BMS first, and ends with the "
        "command line for them. Ctrl-C ends listening, or asking, and shows the result; a second one ends the program.",
    )
    scan.add_argument("--seconds", type=_rate, default=10.0, help="how long to listen, default 10")
    scan.add_argument("--adapter", help="hci0 or an address; default: all that are switched on, at the same time")
    scan.add_argument("--confirm", action="store_true", help="connect to what looks like a battery and ask for values")
    scan.add_argument("--json", action="store_true", help="one JSON document at the end, and nothing else")


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser("replay", help="run a recorded session through the same projections")
    replay.add_argument("file")
    replay.add_argument("--speed", type=_speed, help="1, N or max; default: 1 with --bus, else max")
    replay.add_argument("--bus", help="also publish: session, system, private, or an address")
    replay.add_argument("--instance", type=_instance, help="DeviceInstance instead of the recorded one")
    replay.add_argument(
        "--print",
        action="store_true",
        help="write each publication, or with --compare each difference, as one JSON line",
    )
    replay.add_argument(
        "--compare", action="store_true", help="tell only what would have been different with --config and --set"
    )
    _add_options(replay)


def _add_session(commands: Any) -> None:
    session = commands.add_parser("session", help="carry recorded sessions out of the database")
    actions = session.add_subparsers(dest="action", metavar="ACTION")
    actions.required = True
    export = actions.add_parser("export", help="write a stretch of the log to one file")
    export.add_argument("file")
    export.add_argument("--since", help="UTC, e.g. 2026-11-22T15:30")
    export.add_argument("--until", help="UTC, not included")
    export.add_argument("--battery", help="only this one, by address")
    export.add_argument("--redact", action="store_true", help="without addresses, names, serial numbers, passwords")
    export.add_argument("--database", help=_DATABASE_HELP)


def _add_export(commands: Any) -> None:
    export = commands.add_parser("export", help="history and log as CSV")
    export.add_argument("kind", choices=("cells", "batteries", "readings", "events", "alerts", "links"))
    export.add_argument("--since", help="UTC, e.g. 2026-11-22T15:30")
    export.add_argument("--until", help="UTC, not included")
    export.add_argument("--battery", help="only this one, by address")
    export.add_argument("--resolution", choices=("1min", "15min", "1day"), help="of cells and batteries, default 15min")
    export.add_argument("-o", "--output", default="-", metavar="FILE", help="default: standard output")
    export.add_argument("--database", help=_DATABASE_HELP)


def _add_at(commands: Any) -> None:
    at = commands.add_parser("at", help="every battery, cell, limit and link as it was at a time in the past")
    at.add_argument("time", metavar="TIME", help="UTC, e.g. 2026-11-22T03:12")
    at.add_argument("--battery", help="only this one, by address")
    at.add_argument("--database", help=_DATABASE_HELP)
    at.add_argument("--json", action="store_true", help="everything that was published, as one JSON object")


def run_as_program(first: Sequence[str] = ()) -> None:
    """Entry of the launchers: *first* is put before what was typed."""
    try:
        code = main([*first, *sys.argv[1:]])
    except ModuleNotFoundError as error:
        code = _without_packages(error)
    sys.stdout.flush()
    sys.exit(code)


def _without_packages(error: ModuleNotFoundError) -> int:
    """Go on under the Python of ``make venv``, which has what this one lacks; else say what to do."""
    prepared = Path(__file__).resolve().parent.parent / ".venv" / "bin" / "python"
    if prepared.exists() and Path(sys.prefix).resolve() != prepared.parent.parent:
        os.execv(str(prepared), [str(prepared), *sys.argv])
    print("{}: {}; run `make venv` first".format(PROGRAM, error), file=sys.stderr)
    return 1


def exit_quietly_on_sigterm() -> None:
    """A stop while the program is still being loaded: nothing is open yet."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
