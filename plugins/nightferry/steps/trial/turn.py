"""One user of the trial namespace at a time, by a Kubernetes Lease.

The holder renews the Lease; whoever waits takes it over once it was not renewed for as long as it says, measured by
the waiting one's own clock, so that two machines' times need not agree. Every write is bound to the state that was
read: of two who take it over at once, one does.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from nightferry.clients.clock import Clock
from nightferry.clients.doors.cluster import Cluster, ClusterConflict, Manifest
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Temporary
from nightferry.manifests import trial

LEASE_SECONDS = 20
"""Longer than a busy machine keeps a thread waiting, and short enough for whoever comes after one that was killed."""
RENEW_SECONDS = 5.0
LOOK_SECONDS = 0.5
log = logging.getLogger(__name__)


class Turn:
    """The right to use the trial namespace, for as long as it is renewed."""

    def __init__(self, cluster: Cluster, holder: str, clock: Clock) -> None:
        self._cluster, self._holder, self._clock = cluster, holder, clock
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def mine(self) -> bool:
        """Whether the Lease still is this one's, asked now. Raises as `Cluster.get`."""
        found = self._cluster.get("Lease", trial.LEASE)
        return found is not None and _holder(found) == self._holder

    def refuse_lost(self) -> None:
        """Raise Temporary (trial_busy) where somebody else has taken the turn over meanwhile."""
        if not self.mine:
            raise Temporary(
                Reason.TRIAL_BUSY,
                f"Another one has taken {trial.NAMESPACE} over, since this one did not renew its Lease for "
                f"{LEASE_SECONDS} s. Try again.",
            )

    def take(self, patience: float) -> None:
        """Wait until it is this one's turn.

        Raises:
            Temporary: (trial_busy) another one went on using it for `patience` seconds; (cluster_unavailable)
            Permanent: (cluster_denied)
        """
        begun = since = looked = self._clock.monotonic()
        seen = ""
        while True:
            found = self._cluster.get("Lease", trial.LEASE)
            now = self._clock.monotonic()
            mark = found["metadata"]["resourceVersion"] if found else ""
            # While the cluster did not answer nobody could renew.
            if mark != seen or now - looked > RENEW_SECONDS:
                seen, since = mark, now
            looked = now
            if (found is None or now - since >= LEASE_SECONDS) and self._write(found):
                return
            if found is not None and now - begun >= max(patience, LEASE_SECONDS) and now - since < LEASE_SECONDS:
                raise Temporary(
                    Reason.TRIAL_BUSY,
                    f"{trial.NAMESPACE} is used by {_holder(found)}; one at a time may. It was waited for "
                    f"{now - begun:.0f} s; try again when that is done.",
                )
            self._clock.sleep(LOOK_SECONDS)

    def keep(self) -> None:
        """Renew the Lease from now on, beside whatever is done."""
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Let the next one have it, unless it has it already."""
        self._over.set()
        if self._thread:
            self._thread.join(RENEW_SECONDS * 2)
        with suppress(NightferryError):  # then it is taken over in time
            found = self._cluster.get("Lease", trial.LEASE)
            if found is not None and _holder(found) == self._holder:
                self._cluster.delete("Lease", trial.LEASE, found["metadata"]["resourceVersion"])

    def _renew(self) -> None:
        while not self._over.wait(RENEW_SECONDS):
            try:
                found = self._cluster.get("Lease", trial.LEASE)
                if found is None or _holder(found) != self._holder:
                    return  # whoever works on sees it at the next look
                self._write(found)
            except NightferryError as fault:
                log.warning("The Lease of %s is not renewed yet: %s", trial.NAMESPACE, fault.sentence)

    def _write(self, found: Manifest | None) -> bool:
        """Make the Lease this one's where it is as it was found; whether it is."""
        wanted = trial.lease(self._holder, LEASE_SECONDS, self._clock.now())
        if found is None:
            return self._cluster.create(wanted) is not None
        bound = {name: found["metadata"][name] for name in ("uid", "resourceVersion")}
        try:
            self._cluster.apply(wanted | {"metadata": wanted["metadata"] | bound})
        except ClusterConflict:
            return False
        return True


@contextmanager
def my_turn(cluster: Cluster, what: str, clock: Clock, patience: float = 0.0) -> Iterator[Turn]:
    """Use the trial namespace alone.

    Args:
        cluster: the trial namespace.
        what: who this is, for those who wait: `rehearsal of digits`.
        clock: for waits.
        patience: seconds to wait for one that goes on using it; one that is gone is always waited out.

    Raises as `Turn.take`.
    """
    turn = Turn(cluster, f"{what} ({uuid.uuid4().hex[:12]})", clock)
    turn.take(patience)
    turn.keep()
    try:
        yield turn
    finally:
        turn.end()


def _holder(found: Manifest) -> str:
    return str((found.get("spec") or {}).get("holderIdentity") or "")
