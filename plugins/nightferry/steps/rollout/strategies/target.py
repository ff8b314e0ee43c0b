"""What carries a service, as a strategy sees it: one release beside the one in use, in one environment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from nightferry.errors import NightferryError


class Target(Protocol):
    """One release, and the users of one environment.

    Every method may be called again after an interruption, and finds what was done. Whole shifts are fenced by the
    sequence of the order, and so are shares: what was ordered earlier gets no users any more.
    """

    def bring_up(self) -> None:
        """Make the release's instances beside those in use, and wait until they can answer; nobody is sent there.

        Raises:
            Permanent: (rollout_not_ready, rollout_refused, rollout_no_capacity)   Temporary: (cluster_unavailable, …)
        """
        ...

    def in_use(self) -> str:
        """The release that users get, apart from a share; empty for none."""
        ...

    def traffic(self) -> Mapping[str, int]:
        """Release -> percent of the users."""
        ...

    def give(self, share: int) -> None:
        """Send this share of the users to the release, percent below 100, and the others to the one in use.

        Raises:
            Permanent: (rollout_superseded, withdrawn, rollout_not_ready)   Temporary: (cluster_unavailable)
        """
        ...

    def take_back(self) -> None:
        """Send all users to the release in use again. Who was sent to this release altogether stays there."""
        ...

    def give_all(self) -> str:
        """Send all users to the release; the one before, empty for none. Raises as `give`."""
        ...

    def refuse_superseded(self) -> None:
        """Raise Permanent (rollout_superseded, withdrawn) where something that was ordered later moved the users."""
        ...

    def endpoints(self) -> Sequence[str]:
        """Where each instance of the release is asked: `http://10.244.0.7:8080`.

        Raises:
            Permanent: (verify_wrong_release) one of them runs something else; (rollout_not_ready) they crash.
            Temporary: (verify_unreachable) not all that are wanted are ready.
        """
        ...

    def note(self, why: NightferryError, met: Mapping[str, Any]) -> None:
        """Keep why the release was taken back from its share beside the service, for whoever can write it on the
        record; no deployer gives it users from then on. Raises as `take_back`."""
        ...

    def remove(self) -> bool:
        """Remove what `bring_up` made, unless all users are or were sent there; whether nothing is left."""
        ...
