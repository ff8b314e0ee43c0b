"""What people are shown when they are asked: everything that the record has and a decision needs, on one page."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.entities.approvals.counted import PARTS, Count, Terms
from nightferry.entities.decision import Decision
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import LedgerEntry
from nightferry.entities.release_steps import CHECK_MODEL, ROLL_OUT, TEST_IMAGE, VERIFY

_TOLD = (CHECK_MODEL, TEST_IMAGE, f".{ROLL_OUT}", f".{VERIFY}")
"""The steps whose words are shown: gates, the image's own test, how answers differ in the environment before."""


def subject_of(decision: Decision, environment: str, count: Count, terms: Terms) -> str:
    """The question in a line."""
    return f"May {decision.release} come into {environment}? ({len(count.yes)} of {terms.needed} said yes)"


def body_of(decision: Decision, environment: str, terms: Terms, count: Count, entries: Sequence[LedgerEntry]) -> str:
    """The question as Markdown. What other systems wrote is text in it, and no markup."""
    model, source = decision.candidate.model, decision.candidate.source
    lines = [
        f"**{decision.release}** waits before **{environment}**.",
        "",
        f"* Image: `{terms.image}`",
        f"* What changed: {_plain(decision.sentence)}",
        f"* Model: {_plain(model.version)}{_by(decision, 'model')}",
        f"* Source: `{source.commit[:12]}` of {_plain(source.where)}{_by(decision, 'source')}",
        f"* In use now: {decision.in_use or 'nothing'}",
        f"* Asked for by: {_plain(decision.actor)}{_why(decision)}",
        f"* Said yes: {', '.join(count.yes) or 'nobody yet'} ({terms.needed} needed)",
        f"* Can still answer: {', '.join(count.left) or 'nobody'}",
        f"* Declined by itself at {terms.until}",
    ]
    if terms.authors:
        lines.append(f"* Authors of {' and '.join(PARTS.get(part, part) for part in terms.authors)} do not count.")
    told = [one for one in entries if step_of(one.key).endswith(_TOLD) and not _failed(one)]
    if told:
        lines += ["", "What was found:", "", *(f"* {step_of(one.key)}: {_plain(one.sentence)}" for one in told)]
    lines += ["", f"A no is final for this release. `nightferry show {decision.release}` has everything."]
    return "\n".join(lines)


def _by(decision: Decision, part: str) -> str:
    author = decision.authors.get(part)
    return f", by {_plain(author)}" if author else ""


def _why(decision: Decision) -> str:
    return f": {_plain(decision.request.reason)}" if decision.request.reason else ""


def _failed(entry: LedgerEntry) -> bool:
    return "/failed" in entry.key


def _plain(text: str) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{sign}" if sign in "\\`*_[]<>#|!" else sign for sign in " ".join(text.split()))
