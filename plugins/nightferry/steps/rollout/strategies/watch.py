"""Watch over a release that has users until its time is over: its answers at every look, its figures now and then."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Callable
from typing import Any

from nightferry.clients.clock import Clock
from nightferry.clients.doors.service_figures import ServiceFigures
from nightferry.entities.judging.service_figures import FigureLimits, FiguresVerdict, Snapshot, Window, window
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.strategy import GRACE_SECONDS
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.figures.judge_figures import judge_figures
from nightferry.steps.judging.reach_release import REACH_SECONDS

PAUSE_SECONDS = 5.0
"""Between two looks; less where the whole time is short."""
LOOKS = 5
"""So many there are at least."""
FEWEST = 50
"""Requests with which figures are judged first, before a step's time is over."""
GROWN = 1.25
"""By how much the requests have to grow until they are judged again: each judgement may be wrong by chance."""
log = logging.getLogger(__name__)


class Meter:
    """What a release's users met since it was started, judged against another release's users."""

    def __init__(self, source: ServiceFigures, release: str, other: str | Window | None, limits: FigureLimits) -> None:
        """Measure `release`.

        Args:
            source: reads the figures.
            release: is judged.
            other: the release in use at the same time; or what another one's users met before; None: there is nothing
                to compare with, and the limits count alone.
            limits: how much worse the release may be.
        """
        self._source, self._release, self._other = source, release, other
        self._limits = limits
        self._before: dict[str, Snapshot] = {}
        self._judged = 0.0
        self.mine: Window | None = None
        self.theirs: Window | None = None
        self.verdict: FiguresVerdict | None = None

    def look(self, *, over: bool) -> FiguresVerdict | None:
        """Read, and judge where there is enough to judge; the newest verdict.

        Raises:
            Temporary: (no_figures: there are none; figures_unavailable: they could not be read)
        """
        self.mine = self._window(self._release)
        self.theirs = self._window(self._other) if isinstance(self._other, str) else self._other
        if self.mine is None or (self._other and self.theirs is None):
            return self.verdict
        if (over and not self._judged) or self.mine.requests >= max(self._judged * GROWN, FEWEST):
            self._judged = max(self.mine.requests, 1.0)
            self.verdict = judge_figures(self.mine, self._against(self.mine), self._limits)
        return self.verdict

    def count(self) -> None:
        """Read what the release's users met so far, without a judgement. Raises as `look`."""
        self.mine = self._window(self._release)

    @property
    def data(self) -> dict[str, Any]:
        """For the record."""
        return {"figures": self.verdict.figures} if self.verdict else {}

    @property
    def requests(self) -> int | None:
        """How many requests the release's users made; None: nobody knows."""
        return self.mine.requests if self.mine else None

    def _against(self, mine: Window) -> Window:
        if self.theirs is not None and (isinstance(self._other, str) or self.theirs.requests >= self._limits.requests):
            return self.theirs
        return mine.model_copy(update={"errors": 0, "error_rate": 0.0})  # as fast as itself, and without errors

    def _window(self, release: str) -> Window | None:
        now = self._source.read(release)
        if now is None:
            raise Temporary(Reason.NO_FIGURES, f"{release} has no figures.")
        if release not in self._before:
            self._before[release] = now
            return None
        return window(self._before[release], now)


def watch(look: Callable[[], None], meter: Meter | None, seconds: float, end: dt.datetime, clock: Clock) -> None:
    """Look until `end`, and on until what was seen says that the release is right, for a minute more at most.

    Args:
        look: asks the release; raises Permanent where what it sees is wrong, Temporary where it cannot look.
        meter: of its figures; None: there are none to be judged.
        seconds: how long the whole time is, which may have begun before.
        end: when it is over.
        clock: for the time.

    Raises:
        Permanent: what `look` raised; (figures_wrong; no_figures: there was too little to judge until the end;
            verify_unreachable: the release went on not answering)
    """
    pause = min(PAUSE_SECONDS, max(0.2, seconds / LOOKS))
    answered = clock.now()
    while True:
        over, fault = clock.now() >= end, None
        try:
            look()
            answered = clock.now()
            _judge(meter, over=over)
        except Temporary as now:
            fault = now
            log.info("It could not be looked at: %s", now.sentence)
        if over and fault is None and (meter is None or (meter.verdict and meter.verdict.verdict == "right")):
            return
        silent = fault is not None and fault.reason == Reason.VERIFY_UNREACHABLE
        if silent and fault and (clock.now() - answered).total_seconds() >= REACH_SECONDS:
            raise Permanent(fault.reason, fault.sentence) from fault
        if over and (clock.now() - end).total_seconds() >= GRACE_SECONDS:
            raise _too_little(meter, fault)
        left = (end - clock.now()).total_seconds()
        clock.sleep(min(pause, left) if left > 0 else pause)


def _judge(meter: Meter | None, *, over: bool) -> None:
    verdict = meter.look(over=over) if meter else None
    if verdict and verdict.verdict == "wrong":
        raise Permanent(Reason.FIGURES_WRONG, verdict.sentence)


def _too_little(meter: Meter | None, fault: Temporary | None) -> Permanent:
    said = fault.sentence if fault else ""
    if not said and meter and meter.verdict:
        said = meter.verdict.sentence
    return Permanent(
        Reason.NO_FIGURES,
        f"There was too little to judge it by within {GRACE_SECONDS:g} s after its time: "
        f"{said or 'nothing was counted.'} Missing figures never pass.",
    )
