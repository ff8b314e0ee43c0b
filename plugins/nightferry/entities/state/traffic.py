"""Which release an environment's users get, as the record says."""

from __future__ import annotations

from nightferry.entities.frozen import Recorded
from nightferry.entities.state.canary import Canary


class Traffic(Recorded):
    """One environment's traffic."""

    release: str | None = None
    """The release that users get; None: there is none, so nobody is answered."""
    order: int = 0
    """The sequence of the entry that ordered this: a decision to release, or a withdrawal. It is the fence: nothing
    that was ordered earlier may move the traffic any more."""
    fenced: bool = False
    """Whether whatever carries the service had this order when users were moved, so that nothing of an earlier order
    moved them since. Going back may have come before its order could be written."""
    since: str = ""
    """When it was moved (UTC, RFC 3339)."""
    verified: bool = False
    """Whether it was found to be what users get, with right answers."""
    previous: str | None = None
    """The release before, to which a withdrawal goes back."""
    withdrawing: int | None = None
    """The sequence of the order to take this release out of use, while that is not done."""
    going_to: str | None = None
    """Where a rollback goes that is not done; None: it is a withdrawal, which goes to `previous`."""
    canary: Canary | None = None
    """What another share of the users gets, or got last and may get again; None where no canary was begun beside this
    release."""
    trouble: str = ""
    """Why taking it out of use failed, when it did."""
