"""What runs in the deployer's pods, without Airflow: `nightferry.deployer roll_out`, `verify`, `finish`, `roll_back`,
`look`, `retire`, `rehearse`, `preview`, `end_previews`, `probe`, `answer`.

It is told a release and an environment, and reads everything else from the record, as it was decided. `arguments` has
the options; `doors` opens an environment under its service's Lease; the tasks are in `releasing` (one environment's
users), `housekeeping` (what runs by the clock), `previewing` and `asking` (a service that runs here). This file ends
them.

Exit codes: 0 done · 2 permanent failure · 3 temporary failure, try again; `probe` has its own: 0 right · 10 contract
broken · 11 golden example wrong · 12 not ready. One line on stdout for each event; the ledger holds the result.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from nightferry.deployer.arguments import parser
from nightferry.deployer.asking import answer_task, probe_task
from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY, LAST_WORD
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.masking import mask

log = logging.getLogger("nightferry.deployer")


class Interrupted(BaseException):
    """SIGTERM came. Not an Exception, so that nothing takes it for a failure of its own."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one task; the exit code."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout, force=True)
    for noisy in ("azure", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _interrupt)
    given = parser().parse_args(arguments)
    try:
        return _run(given.task, given)
    finally:
        if given.task not in (probe_task, answer_task):  # whose last line is its report
            log.info(LAST_WORD)


def _run(task: Callable[[argparse.Namespace], int], given: argparse.Namespace) -> int:
    try:
        return task(given)
    except NightferryError as fault:
        log.error("%s: %s", fault.reason, fault.sentence)
        return EXIT_PERMANENT if isinstance(fault, Permanent) else EXIT_TEMPORARY
    except (Interrupted, KeyboardInterrupt):
        log.error("%s: Ended by a signal; it can be repeated.", Reason.INTERRUPTED)
        return EXIT_TEMPORARY
    except Exception as fault:
        place = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        log.error("%s: %s at %s: %s", Reason.INTERNAL_ERROR, type(fault).__name__, where, mask(str(fault)))
        return EXIT_TEMPORARY


def _interrupt(number: int, frame: FrameType | None) -> None:
    # The cleaning up that follows is not to be interrupted again; Kubernetes kills the pod if it takes too long.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise Interrupted
