"""`nightferry drill`: break things on purpose, on a copy of a service that nobody uses, and see that nobody notices."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import NOT_WELL, OK
from nightferry.cli.lookup import spec_of
from nightferry.cli.output import show_json, table
from nightferry.cli.trial.copy import open_trial, open_trial_cluster, production_of, released
from nightferry.clients import connect
from nightferry.clients.clock import SystemClock
from nightferry.clients.person import me
from nightferry.drill.catalogue import FAULTS, chosen
from nightferry.drill.drill import Drill, Row
from nightferry.drill.fault import Fault
from nightferry.drill.report import markdown, record_drill, summary, well
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.trial.clear import clear
from nightferry.steps.trial.turn import my_turn

PATIENCE_SECONDS = 60.0
MOST_TIMES = 20
EXAMPLES = """\
  nightferry drill --list                        which faults there are, and what traffic may see of each
  nightferry drill digits --quick                those that take seconds
  nightferry drill digits --quick --times 3      three times in a row
  nightferry drill digits --only crashes --only "pod deleted"
  nightferry drill digits --markdown drill.md    all, and the table in a file; on the sandbox it stops its parts
"""


def add_parsers(subparsers: Subparsers) -> None:
    """Add `drill`."""
    add = command(subparsers, "drill", drill, HELP["drill"], EXAMPLES)
    add.add_argument("service", metavar="SERVICE", nargs="?", help="name of the service, as in its service file")
    add.add_argument("--only", metavar="FAULT", action="append", default=[], help="this fault alone; again for more")
    add.add_argument("--quick", action="store_true", help="those that take seconds and stop no part of the sandbox")
    add.add_argument("--times", type=int, default=1, metavar="N", help="all of them so many times (%(default)s)")
    add.add_argument("--list", action="store_true", help="say which faults there are, and do nothing")
    add.add_argument("--dry-run", action="store_true", help="say what would be tried on this service, and do nothing")
    add.add_argument("--markdown", type=Path, metavar="FILE", help="write the table there too")
    add.add_argument("--by", metavar="NAME", help="who drills, for the record (your account's name)")


def drill(arguments: argparse.Namespace) -> int:
    """Try them, and write the table on the record."""
    faults = chosen(arguments.only, quick=arguments.quick)
    if arguments.list:
        return _list(faults or FAULTS, as_json=arguments.json)
    _check(arguments, faults)
    actor = arguments.by or me("--by")
    signal.signal(signal.SIGTERM, _interrupted)  # what is stopped is started again, whoever ends the drill
    settings, clock = settings_of.load(), SystemClock()
    spec, ledger = spec_of(settings, arguments.service), connect.ledger_store(settings)
    copied = released(ledger, spec.service)
    if arguments.dry_run:
        print(f"A copy of {copied[1].release} would meet:", file=sys.stderr)
        return _list(faults, as_json=arguments.json)
    cluster = open_trial_cluster(settings, spec)
    with (
        tempfile.TemporaryDirectory() as folder,
        my_turn(cluster, f"the drill of {spec.service}", clock, PATIENCE_SECONDS) as turn,
    ):
        production, address = production_of(settings, spec, copied[1], Path(folder))
        gateway = spec.environments[-1].traffic
        by_gateway = bool(gateway and any(host in address for host in gateway.hosts))
        trial = open_trial(settings, cluster, copied, Path(folder), actor=actor, by_gateway=by_gateway)
        try:
            rows = Drill(trial, production, _say, turn.refuse_lost).run(faults, arguments.times)
        finally:
            if turn.mine:
                clear(cluster, spec.service, clock)
    record_drill(ledger, clock, service=spec.service, release=copied[1].release, actor=actor, rows=rows)
    return _show(arguments, rows)


def _check(arguments: argparse.Namespace, faults: list[Fault]) -> None:
    if not arguments.service:
        raise Permanent(Reason.REQUEST_INVALID, "Which service? nightferry drill SERVICE; `--list` needs none.")
    if not 1 <= arguments.times <= MOST_TIMES:
        raise Permanent(Reason.REQUEST_INVALID, f"--times {arguments.times} is not from 1 to {MOST_TIMES}.")
    if not faults:
        raise Permanent(Reason.REQUEST_INVALID, "None of the faults that were named is a quick one.")
    if arguments.markdown and not arguments.markdown.absolute().parent.is_dir():
        raise Permanent(Reason.REQUEST_INVALID, f"There is no folder for {arguments.markdown}.")


def _list(faults: list[Fault] | tuple[Fault, ...], *, as_json: bool) -> int:
    rows = [
        {"fault": one.name, "quick": one.quick, "allows": one.allows.sentence, "parts": [*one.parts], "says": one.says}
        for one in faults
    ]
    if as_json:
        show_json(rows)
        return OK
    headings = ("FAULT", "QUICK", "TRAFFIC MAY SEE", "STOPS OR KILLS", "WHAT IS DONE")
    cells = [
        (one.name, "yes" if one.quick else "-", one.allows.sentence, ", ".join(one.parts) or "-", one.says)
        for one in faults
    ]
    table(headings, cells)
    return OK


def _show(arguments: argparse.Namespace, rows: list[Row]) -> int:
    text = markdown(rows)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    if arguments.json:
        show_json({"passed": well(rows), "summary": summary(rows), "faults": [row.to_json() for row in rows]})
    else:
        print(text)
        print(summary(rows).partition(". ")[0].rstrip(".") + ".")
    return OK if well(rows) else NOT_WELL


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
