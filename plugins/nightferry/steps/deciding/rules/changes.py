"""The rules about what a release is made of: first, new model or source, packages, platform, forced, unchanged."""

from __future__ import annotations

from nightferry.entities.candidate import Candidate
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import STOCK
from nightferry.steps.app.moved import moved
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
    source = _source_changed(new, old)
    if not (model or source):
        return None
    words = f"{_model(new, old, model)}; {_source(new, old, source)}.{_packages(new, old)}"
    return Word(True, _CHANGED[model, source], words)


def new_platform(question: Question) -> Word | None:
    """The base image, the recipe or the installation's stock service is another one."""
    if question.before is None or question.candidate.inputs_digest == question.before.candidate.inputs_digest:
        return None
    new, old = question.candidate, question.before.candidate
    what = "Build recipe"
    if new.base_image != old.base_image:
        what = "Base image"
    elif new.source.tree != old.source.tree:
        what = "The stock service"
    return Word(True, Reason.NEW_PLATFORM, f"{what} is new; {_as_before(question)}.{_packages(new, old)}")


def new_packages(question: Question) -> Word | None:
    """The lock of the app's requirements is another one, and nothing else is."""
    if question.before is None:
        return None
    new, old = question.candidate, question.before.candidate
    if new.lock is None or old.lock is None or new.lock.sha256 == old.lock.sha256:
        return None
    if (new.base_image, new.recipe) != (old.base_image, old.recipe):
        return None
    what = moved(old.lock.packages, new.lock.packages) or "the same versions, other files"
    return Word(True, Reason.NEW_PACKAGES, f"New packages ({what}); {_as_before(question)}.")


def forced(question: Question) -> Word | None:
    """Nothing changed, and it is asked for all the same."""
    if not question.request.force:
        return None
    return Word(True, Reason.FORCED, f"Released on request although nothing changed: {_same(question)}.")


def unchanged(question: Question) -> Word | None:
    """Nothing changed."""
    return Word(False, Reason.UNCHANGED, f"Nothing changed: {_same(question)}.")


def _source_changed(new: Candidate, old: Candidate) -> bool:
    """Whether the app's code is another one. The installation's stock service is a part of the platform."""
    if new.source.repository == old.source.repository == STOCK:
        return False
    return (new.source.tree, new.source.path) != (old.source.tree, old.source.path)


def _packages(new: Candidate, old: Candidate) -> str:
    """A sentence about the packages that moved; empty where none did."""
    if new.lock is None or old.lock is None:
        return ""
    what = moved(old.lock.packages, new.lock.packages)
    return f" Packages: {what}." if what else ""


def _as_before(question: Question) -> str:
    new = question.candidate
    return f"model {new.model.version} and source {_short(new)} are as in {question.in_use}"


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
