"""The rules about what a release is made of: first, new model or source, new platform, forced, unchanged."""

from __future__ import annotations

from nightferry.entities.candidate import Candidate
from nightferry.entities.reason import Reason
from nightferry.steps.deciding.rules.question import Question, Word


def first_release(question: Question) -> Word | None:
    """Nothing is in use."""
    if question.before is not None:
        return None
    new = question.candidate
    sentence = f"First release of {new.service}: model {new.model.version}, source {_short(new)}."
    return Word(True, Reason.FIRST_RELEASE, sentence)


def new_inputs(question: Question) -> Word | None:
    """The model or the app's code is another one than in the release in use."""
    if question.before is None:
        return None
    new, old = question.candidate, question.before.candidate
    model = (new.model.version, new.model.sha256) != (old.model.version, old.model.sha256)
    source = (new.source.tree, new.source.path) != (old.source.tree, old.source.path)
    if not (model or source):
        return None
    return Word(True, _CHANGED[model, source], f"{_model(new, old, model)}; {_source(new, old, source)}.")


def new_platform(question: Question) -> Word | None:
    """The base image or the recipe is another one."""
    if question.before is None or question.candidate.inputs_digest == question.before.candidate.inputs_digest:
        return None
    new = question.candidate
    what = "Base image" if new.base_image != question.before.candidate.base_image else "Build recipe"
    same = f"model {new.model.version} and source {_short(new)} are as in {question.in_use}"
    return Word(True, Reason.NEW_PLATFORM, f"{what} is new; {same}.")


def forced(question: Question) -> Word | None:
    """Nothing changed, and it is asked for all the same."""
    if not question.request.force:
        return None
    return Word(True, Reason.FORCED, f"Released on request although nothing changed: {_same(question)}.")


def unchanged(question: Question) -> Word | None:
    """Nothing changed."""
    return Word(False, Reason.UNCHANGED, f"Nothing changed: {_same(question)}.")


_CHANGED = {
    (True, True): Reason.NEW_MODEL_AND_SOURCE,
    (True, False): Reason.NEW_MODEL,
    (False, True): Reason.NEW_SOURCE,
}


def _same(question: Question) -> str:
    new = question.candidate
    return f"model {new.model.version} and source {_short(new)} are those of {question.in_use}"


def _model(new: Candidate, old: Candidate, changed: bool) -> str:
    if not changed:
        return f"Model unchanged: {new.model.version}"
    if new.model.version == old.model.version:
        return f"Model {new.model.version} was published again with other content"
    return f"New model {new.model.version} (before: {old.model.version})"


def _source(new: Candidate, old: Candidate, changed: bool) -> str:
    return f"new source {_short(new)} (before: {_short(old)})" if changed else f"source unchanged at {_short(new)}"


def _short(candidate: Candidate) -> str:
    return candidate.source.commit[:8]
