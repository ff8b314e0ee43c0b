"""`quarantined`: what would be released has what was found to be wrong, or what a person turned down."""

from __future__ import annotations

from nightferry.entities.barring.quarantine import Parts, Quarantine
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word

_NAMED = {"model": "--model", "tree": "--commit"}
"""The parts that can be asked for by a name."""


def quarantined(question: Question) -> Word | None:
    """Decline what is barred; what is in use is not released anew, so it is not declined."""
    mine = Parts.of(question.candidate, question.spec)
    before = question.before
    if before and mine == Parts.of(before.candidate, before.service_spec):
        if not question.passed_over or question.request.force:
            return None
        return Word(False, Reason.QUARANTINED, " ".join(question.passed_over))
    standing = [one for one in question.state.quarantines if one.stands(question.spec)]
    barring = [one for one in standing if one.parts.among(mine) and not _asked_for(one, question)]
    if not barring:
        return None
    return Word(False, Reason.QUARANTINED, " ".join(_said(one, question) for one in barring))


def _asked_for(one: Quarantine, question: Question) -> bool:
    """Whether a person asks by its name for what another choice turned down, or anyhow for what no user ever got."""
    asked = {"model": question.request.model, "tree": question.request.commit}
    named = [bool(asked.get(name)) for name in one.parts.named()]
    return (one.chosen and all(named)) or (one.unseen and (any(named) or question.request.force))


def _said(one: Quarantine, question: Question) -> str:
    if one.chosen:
        return f"{one.actor} released something else than {one.words} by hand; ask for it by its name to release it."
    lift = f"nightferry quarantine lift {question.spec.service} {one.number} --reason …"
    what = f"{one.words[:1].upper()}{one.words[1:]}"
    if one.unseen:
        again = " or ".join([*(_NAMED[name] for name in one.parts.named() if name in _NAMED), "--force"])
        lift = f"ask for it with {again}, or {lift}"
        return f"{what} is quarantined since {one.since}: {one.sentence.rstrip('.')}. To have it tried again: {lift}"
    return f"{what} is quarantined since {one.since}: {one.sentence.rstrip('.')}. To lift that: {lift}"
