"""Weigh what could be released against what is in use."""

from __future__ import annotations

from nightferry.entities.candidate import Candidate
from nightferry.entities.reason import Reason


def weigh(new: Candidate, old: Candidate | None, in_use: str | None, *, force: bool) -> tuple[Reason, str]:
    """Whether and why to release, as a reason code and a sentence for people; only `unchanged` means no.

    Args:
        new: what could be released.
        old: what the release in use is made of; None when there is none.
        in_use: that release's id.
        force: release even when nothing changed.
    """
    if old is None:
        return (
            Reason.FIRST_RELEASE,
            f"First release of {new.service}: model {new.model.version}, source {_short(new)}.",
        )
    model = (new.model.version, new.model.sha256) != (old.model.version, old.model.sha256)
    source = (new.source.tree, new.source.path) != (old.source.tree, old.source.path)
    if model or source:
        return _CHANGED[model, source], f"{_model(new, old, model)}; {_source(new, old, source)}."
    if new.inputs_digest != old.inputs_digest:
        what = "Base image" if new.base_image != old.base_image else "Build recipe"
        return (
            Reason.NEW_PLATFORM,
            f"{what} is new; model {new.model.version} and source {_short(new)} are as in {in_use}.",
        )
    same = f"model {new.model.version} and source {_short(new)} are those of {in_use}"
    if force:
        return Reason.FORCED, f"Released on request although nothing changed: {same}."
    return Reason.UNCHANGED, f"Nothing changed: {same}."


_CHANGED = {
    (True, True): Reason.NEW_MODEL_AND_SOURCE,
    (True, False): Reason.NEW_MODEL,
    (False, True): Reason.NEW_SOURCE,
}


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
