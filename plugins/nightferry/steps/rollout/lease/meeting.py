"""How two meet who want the Lease of one service."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.rollout.lease.claim import Claim, Held, Rank


class UnderWay(Temporary):
    """Somebody else is at it; that is no fault of theirs or ours."""


class Meeting(Enum):
    """What one does who finds the Lease held by a holder that may be alive."""

    TAKE = auto()
    WAIT = auto()
    LEAVE = auto()
    """Leave the service alone, this time."""
    STOP = auto()
    """What was ordered later is under way already."""


def meet(mine: Claim, theirs: Held, switched: Callable[[], bool]) -> Meeting:
    """Whether a holder is waited for.

    A person's rollback waits for another person's alone. Of two rollouts the one that was ordered later goes first,
    unless users are sent to the earlier one's release already: then that one is to see it through, and to go back if
    it is wrong. Two of the same order are two attempts at one thing.

    Args:
        mine: what the Lease is wanted for.
        theirs: who has it.
        switched: whether users are sent to their release already.
    """
    if mine.rank == Rank.HOUSEKEEPING:
        return Meeting.LEAVE
    if mine.rank == Rank.PERSON:
        return Meeting.WAIT if theirs.rank == Rank.PERSON else Meeting.TAKE
    if theirs.rank != Rank.ROLLOUT or not theirs.order or theirs.order == mine.order:
        return Meeting.WAIT
    if theirs.order > mine.order:
        return Meeting.STOP
    return Meeting.WAIT if switched() else Meeting.TAKE


def left_alone(mine: Claim, theirs: Held, where: str) -> UnderWay:
    """What is said by one who leaves it, or has waited long enough."""
    return UnderWay(
        Reason.ROLLOUT_UNDER_WAY, f"{mine.service} in {where} is left alone this time: {theirs.holder} has its Lease."
    )


def overtaken(mine: Claim, theirs: Held, where: str) -> NightferryError:
    """What is said by one that has lost the Lease, or never gets it. Permanent (rollout_superseded) where the other one
    goes first by its order or its rank; else Temporary (rollout_under_way): it took us for dead."""
    later = theirs.rank == mine.rank == Rank.ROLLOUT and theirs.order > mine.order > 0
    if later or theirs.rank > mine.rank > Rank.HOUSEKEEPING:
        return Permanent(
            Reason.ROLLOUT_SUPERSEDED,
            f"{mine.doing} in {where} gave way: {theirs.holder or 'another'} has the Lease of {mine.service} now. "
            "Nothing more was changed.",
        )
    return UnderWay(
        Reason.ROLLOUT_UNDER_WAY,
        f"{mine.doing} in {where} has lost the Lease of {mine.service} to {theirs.holder or 'nobody'}: it was not "
        "renewed in time. Nothing more was changed.",
    )
