"""What reading costs: CPU per poll cycle and memory of the whole daemon, with one battery and with four.

Part of ``make bench``. The daemon is a process of its own, over real bleak, against the BlueZ double on a private bus.
"""

import os
import socket
import tempfile
import time
from pathlib import Path

from tests.adapters.radio_rig import address_of
from tests.doubles.bluez_process import running_double
from tests.programs import bus_daemon, environment, running, stop, wait_until
from tests.storage.logs import query

POLL_S = 1
MEASURED_S = 30


def reading_costs(count):
    """(CPU in ms per poll cycle, resident MB) of a daemon that reads *count* batteries and publishes them."""
    with tempfile.TemporaryDirectory() as folder, bus_daemon() as daemon:
        folder = Path(folder)
        with running_double(daemon.address, _free_port(), folder / "ready", count=count, adapters=1):
            database = folder / "log.db"
            options = [
                "--bus",
                "private",
                "--instance",
                1,
                "--database",
                database,
                "--set",
                "POLL_SECONDS={}".format(POLL_S),
            ]
            addresses = [address_of(number) for number in range(count)]
            env = environment(DBUS_SYSTEM_BUS_ADDRESS=daemon.address)
            with running("run", *addresses, "-p", *options, env=env) as process:
                wait_until(lambda: _established(database) == count, 60, "a link to every battery")
                before_s = _cpu_s(process.pid)
                time.sleep(MEASURED_S)
                used_s, resident_mb = _cpu_s(process.pid) - before_s, _resident_mb(process.pid)
                stop(process)
    return 1000 * used_s * POLL_S / MEASURED_S, resident_mb


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _established(database):
    """How many batteries have answered, as far as it is stored."""
    if not database.exists():
        return 0
    rows = query(database, "SELECT count(*) FROM event JOIN kind ON kind = id WHERE name = 'LinkEstablished'")
    return rows[0][0]


def _cpu_s(pid):
    fields = Path("/proc/{}/stat".format(pid)).read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _resident_mb(pid):
    status = Path("/proc/{}/status".format(pid)).read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024
