"""`continued` and `waiting`: a release of before waits, and is what would be released, or what is ready."""

from __future__ import annotations

from nightferry.entities.barring.quarantine import Parts
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def ready(question: Question) -> Word | None:
    """Go on with what is built and published: whoever asks, where it is the newest; the schedule, where it ships what
    was built by day."""
    waits, request = question.state.waiting, question.request
    if waits is None or question.waits is None or waits.reason != Reason.PUBLISHED or question.state.superseded:
        return None
    if request.force or request.until is not None or _barred(question):
        return None
    sentence = f"{waits.release} was built and published at {waits.since} and goes on."
    if _same(question):
        return Word(True, Reason.CONTINUED, sentence, image=waits.image, continues=True)
    if question.slot is None or not question.spec.triggers.builds:
        return None
    return Word(True, Reason.CONTINUED, f"{sentence} {_newer(question)}", image=waits.image, continues=True)


def waiting(question: Question) -> Word | None:
    """Decline what waits already: people are not asked twice about one thing."""
    waits = question.state.waiting
    if waits is None or question.state.superseded or question.request.force or not _same(question):
        return None
    sentence = f"{waits.release}, of the same model and source, waits since {waits.since}: {waits.sentence}"
    return Word(False, Reason.WAITING, sentence)


def _same(question: Question) -> bool:
    """Whether what waits is what would be released, down to its settings."""
    waits = question.waits
    return waits is not None and Parts.of(waits.candidate, waits.service_spec) == Parts.of(
        question.candidate, question.spec
    )


def _barred(question: Question) -> bool:
    """Whether what waits was barred since."""
    waits = question.waits
    if waits is None:
        return False
    mine = Parts.of(waits.candidate, waits.service_spec)
    standing = [one for one in question.state.quarantines if one.stands(question.spec)]
    return any(one.parts.among(mine) for one in standing)


def _newer(question: Question) -> str:
    """What is newer than what goes on, and what became of it."""
    new, old, waits = question.candidate, question.waits, question.state.waiting
    if old is None or waits is None:
        return ""
    named = []
    if new.model.sha256 != old.candidate.model.sha256:
        named.append(f"model {new.model.version}")
    if new.source.tree != old.candidate.source.tree:
        named.append(f"source {new.source.commit[:8]}")
    what = " and ".join(named) or "the platform or the settings"
    ended = question.last_end
    if ended is not None and ended.release and ended.sequence > waits.sequence:
        return f"Newer and not ready: {what}; {ended.release} ended: {ended.sentence}"
    return f"Newer and not built yet: {what}."
