"""``replay FILE --compare``: what limits, alarms and SoC would have been with other options. Only the differences."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import Union

from config.options import ConfigError
from service.comparison import Comparison
from service.comparison_report import JsonReport, Report
from service.dry_run import TriedOptions
from storage.session_file import SessionReader

log = logging.getLogger(__name__)


def compare_command(arguments: Namespace) -> int:
    """Run one file twice in lockstep. Raises :class:`ConfigError` and :class:`StorageError`."""
    if not arguments.config and not arguments.set:
        raise ConfigError("--compare needs what to compare with: --config FILE or --set NAME=VALUE")
    for switch in ("bus", "speed", "instance"):
        if getattr(arguments, switch) is not None:
            raise ConfigError("--compare publishes nothing and runs as fast as it can: it goes without --" + switch)
    tried, warnings = TriedOptions.load(arguments)
    for warning in warnings:
        log.warning("%s", warning)
    report: Union[Report, JsonReport] = JsonReport(sys.stdout) if arguments.print else Report(sys.stdout)
    comparison = Comparison(tried.configuration, report)
    reader = SessionReader(Path(arguments.file))
    try:
        for event in reader.events():
            comparison.fold(event)
    finally:
        reader.close()
    comparison.finish()
    report.finish()
    return 0
