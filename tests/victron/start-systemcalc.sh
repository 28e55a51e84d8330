#!/bin/bash
# Runs the real com.victronenergy.system (victronenergy/dbus-systemcalc-py) on the private bus.
# Needs start-bus.sh and start-localsettings.sh first.  ARGS: passed on (e.g. --debug)
set -e
. "$(dirname "$0")/env.sh"; rig_bus_env
[ -S "$RIG_RUN/bus.sock" ] || { echo "start-bus.sh first" >&2; exit 1; }
if [ -s "$RIG_RUN/systemcalc.pid" ] && kill -0 "$(cat "$RIG_RUN/systemcalc.pid")" 2>/dev/null; then exit 0; fi
# the checkout's ext/velib_python submodule is empty: PYTHONPATH stands in for it
cd "$RIG_RUN"
for try in 1 2 3; do
  PYTHONPATH="$VELIB" "$RIG_PY" -u "$REF/victronenergy+dbus-systemcalc-py/dbus_systemcalc.py" "$@" </dev/null >"$RIG_RUN/logs/systemcalc.log" 2>&1 &
  echo $! > "$RIG_RUN/systemcalc.pid"
  for _ in $(seq 20); do
    rig_wait_name com.victronenergy.system 1 && exit 0
    # systemcalc 2.256 race: a battery that is on the bus before its Batteries/Configuration settings exist and
    # answers GetItems before localsettings does -> exception in the scan, systemcalc stays up but never registers.
    # With the settings stored by then, the second start works.
    grep -q "Configuration//Service" "$RIG_RUN/logs/systemcalc.log" && { echo "systemcalc hit its start-up race, starting it again" >&2; rig_stop_pidfile "$RIG_RUN/systemcalc.pid"; break; }
  done
done
cat "$RIG_RUN/logs/systemcalc.log" >&2; exit 1
