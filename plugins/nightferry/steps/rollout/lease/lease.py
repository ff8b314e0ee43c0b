"""Take the Lease of a service, keep it, see that it is lost, let it go.

Whether a holder is dead is judged as client-go's leader election does: by a Lease that has not changed for as long as
it says, on the clock of the one who looks (client-go, tools/leaderelection). Every change is conditional on what was
read, so of any number of takers one succeeds.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.steps.rollout.lease.claim import Claim, Held, micro_time
from nightferry.steps.rollout.lease.meeting import Meeting, left_alone, meet, overtaken
from nightferry.steps.rollout.own_objects import refuse_alien
from nightferry.steps.rollout.switch_service import in_use

RENEW_SECONDS = 2.0
"""How often a holder renews it."""
POLL_SECONDS = 0.25
WAIT_SECONDS = 240.0
"""How long one that may not take it waits for the one who has it; a task of Airflow has ten minutes beside its
`ready_seconds`, and is tried again."""
SILENT_SECONDS = 300.0
"""A process that has not asked the cluster anything for so long hangs, and does not renew any more. Asking thousands of
golden examples takes less."""
log = logging.getLogger(__name__)


class Lease:
    """One process's hold on a service in a namespace. Safe to be used by two threads, the one that works and the one
    that renews."""

    former: Held | None
    """From whom it was taken, dead or alive; None where it was free."""

    def __init__(self, cluster: Cluster, claim: Claim, clock: Clock) -> None:
        """Nothing is asked of the cluster yet.

        Args:
            cluster: the namespace, asked once: whoever calls has the patience.
            claim: what the Lease is wanted for.
            clock: for waits and times.
        """
        self.claim, self.former = claim, None
        self._cluster, self._clock = cluster, clock
        self._lock = threading.RLock()
        self._has = self._without = False
        self._lost: NightferryError | None = None
        self._renewed = self._alive = self._waiting_since = 0.0
        self._first: tuple[str, str, int] | None = None
        self._seen: tuple[tuple[str, str, int], float] | None = None

    def take(self) -> None:
        """Make sure of having it; waits for one who goes first. Done again it changes nothing.

        Raises:
            Permanent: (rollout_superseded; rollout_refused: the name is somebody else's; cluster_denied: where the
                claim says that nothing is done without it)
            UnderWay: somebody else has it.
            Temporary: (cluster_unavailable)
        """
        with self._lock:
            self._show_life()
            if self._lost:
                raise self._lost
            if self._has or self._without:
                return
            try:
                self._take()
            except Permanent as fault:
                self._go_without(fault)

    def check(self, *, to_read: bool = False) -> None:
        """Make sure of having it now, before something is changed; the Lease is read each time. Raises as `take`.

        Args:
            to_read: something is only read: that needs it not, but who has lost it is to stop.
        """
        with self._lock:
            if to_read and not self._has and not self._lost:
                self._show_life()
                return
            self.take()
            if self._without:
                return
            try:
                self._keep(always=True)
            except Permanent as fault:
                self._go_without(fault)

    def keep(self) -> None:
        """Renew it where that is due, if this process has it and does not hang. It raises nothing."""
        with self._lock, suppress(NightferryError):
            if self._has and not self._lost and self._clock.monotonic() - self._alive < SILENT_SECONDS:
                self._keep(always=False)

    def let_go(self) -> None:
        """Give it back, if it is still this process's. One that cannot be given back now expires."""
        with self._lock, suppress(NightferryError):
            found = self._read() if self._has and not self._lost else None
            if found and found.holder == self.claim.holder:
                changes = {"metadata": {"resourceVersion": found.version}, "spec": {"holderIdentity": None}}
                self._cluster.patch("Lease", self.claim.service, changes)
            self._has = False

    def _take(self) -> None:
        self._waiting_since = self._waiting_since or self._clock.monotonic()
        said = ""
        while not self._has:
            found = self._read()
            try:
                if found is None:
                    self._has = self._cluster.create(self.claim.lease(self._clock.now())) is not None
                elif self._may_take(found):
                    # Before the change, which may be carried out although its answer is lost.
                    self.former = self.former if found.holder == self.claim.holder else found if found.holder else None
                    changes = self.claim.taking(found, self._clock.now())
                    self._has = self._cluster.patch("Lease", self.claim.service, changes) is not None
            except ClusterConflict:  # somebody was quicker
                continue
            if not self._has:
                if found and found.holder != said:
                    said = found.holder
                    log.info("Waiting for the Lease of %s, which %s has.", self.claim.service, said)
                self._clock.sleep(POLL_SECONDS)
        self._renewed, self._waiting_since = self._clock.monotonic(), 0.0

    def _may_take(self, found: Held) -> bool:
        if found.holder in ("", self.claim.holder) or self._is_dead(found):
            return True
        meeting = meet(self.claim, found, lambda: self._switched(found))
        if meeting is Meeting.STOP:
            raise overtaken(self.claim, found, self._cluster.namespace)
        if meeting is Meeting.LEAVE and self._moved_since(found):
            raise left_alone(self.claim, found, self._cluster.namespace)
        if self._clock.monotonic() - self._waiting_since > WAIT_SECONDS:
            raise left_alone(self.claim, found, self._cluster.namespace)
        return meeting is Meeting.TAKE

    def _is_dead(self, found: Held) -> bool:
        """Whether the Lease has stood still for as long as it says, before our eyes."""
        now, state = self._clock.monotonic(), (found.holder, found.beat, found.transitions)
        if self._seen is None or self._seen[0] != state:
            self._first = self._first or state
            self._seen = (state, now)
        return now - self._seen[1] >= found.seconds

    def _moved_since(self, found: Held) -> bool:
        """Whether it was seen to be renewed: who only looks once cannot know whether the holder lives."""
        return self._first != (found.holder, found.beat, found.transitions)

    def _switched(self, found: Held) -> bool:
        stable = self._cluster.get("Service", self.claim.service)
        try:
            return bool(found.release) and in_use(stable) == found.release
        except Permanent:  # it is not ours, or spoilt: whoever is at it says so
            return True

    def _keep(self, *, always: bool) -> None:
        """Look whether it is still this process's, and renew it where that is due."""
        due = self._clock.monotonic() - self._renewed >= RENEW_SECONDS
        while always or due:
            found = self._read()
            if found is None:  # removed by hand
                self._has = False
                self._take()
                return
            if found.holder != self.claim.holder:
                self._lost = overtaken(self.claim, found, self._cluster.namespace)
                log.warning("%s", self._lost.sentence)
                raise self._lost
            if not due:
                return
            renewal = {"renewTime": micro_time(self._clock.now())}
            before = self._clock.monotonic()
            with suppress(ClusterConflict):  # somebody changed it between: look again
                changes = {"metadata": {"resourceVersion": found.version}, "spec": renewal}
                if self._cluster.patch("Lease", self.claim.service, changes) is not None:
                    self._renewed = before
                    return

    def _read(self) -> Held | None:
        found = self._cluster.get("Lease", self.claim.service)
        if found is None:
            return None
        refuse_alien(found, self.claim.service)
        return Held.of(found)

    def _show_life(self) -> None:
        self._alive = self._clock.monotonic()

    def _go_without(self, fault: Permanent) -> None:
        """Without the right to Leases the fence alone has to do; a rollout is not begun like that."""
        if fault.reason not in (Reason.CLUSTER_DENIED, Reason.ROLLOUT_REFUSED):
            raise fault
        if self.claim.needed and not self._has:
            if fault.reason == Reason.ROLLOUT_REFUSED:
                raise fault
            raise Permanent(
                fault.reason,
                f"The Lease of {self.claim.service} in {self._cluster.namespace} cannot be taken, so nothing was "
                f"changed: {fault.sentence} A deployer's role has to grant get, create and patch on leases: apply "
                "roles.yaml of this version.",
            ) from fault
        log.warning("Going on without the Lease of %s: %s", self.claim.service, fault.sentence)
        self._without = True
