"""Find out which part of a release a gate failed for.

What changed alone is named without trying. Where code and model changed, four combinations are tried with the same
questions: the release in use first, since where that fails too neither is to blame; then the one that failed, since
what does not happen again cannot be found out; then new code with the old model, and old code with the new model.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from nightferry.entities.barring.blame import Blame, Guilty, Trial
from nightferry.entities.barring.quarantine import Bar, Parts
from nightferry.steps.blame.combine import Changed, Side
from nightferry.steps.blame.failed_gate import FailedGate, Sort
from nightferry.steps.blame.laboratory import Bench, TryOut


@dataclass
class _Word:
    """What is said in the end."""

    guilty: Guilty | None
    sentence: str
    parts: tuple[Parts, ...] = ()
    """To be barred, each by itself."""
    trials: list[Trial] = field(default_factory=list)
    settled: bool = True


def find_blame(failed: FailedGate, new: Side, old: Side | None, bench: Bench) -> Blame:
    """Name the guilty part, as far as it can be found out; it raises nothing of ours.

    Args:
        failed: what failed, and why.
        new: the release that failed.
        old: the one in use; None: there is none.
        bench: tries combinations.
    """
    changed = Changed(new, old) if old else None
    return _blame(failed, new, changed, _word(failed, changed, bench) if changed else _first(new))


def not_found(failed: FailedGate, new: Side, old: Side | None, why: str) -> Blame:
    """What is said where trying was broken off."""
    changed = Changed(new, old) if old else None
    return _blame(failed, new, changed, _unknown(changed, why) if changed else _first(new))


def _blame(failed: FailedGate, new: Side, changed: Changed | None, word: _Word) -> Blame:
    bars = tuple(
        Bar(parts=parts, words=Changed(new, new).words(parts), limits=dict(failed.limits))
        for parts in word.parts
        if failed.bars and parts.named()
    )
    barred = f" Barred from release: {', '.join(bar.words for bar in bars)}." if bars else ""
    return Blame(
        failed_step=failed.step,
        failed_reason=failed.reason,
        fault=failed.sentence,
        guilty=word.guilty,
        sentence=word.sentence + barred,
        trials=tuple(word.trials),
        commands=_commands(word.guilty, changed) if changed else (),
        bars=bars,
        settled=word.settled,
    )


def _first(new: Side) -> _Word:
    return _Word(None, f"Nothing is in use that {new.model} and {new.source} could be held against.", (new.parts,))


def _word(failed: FailedGate, changed: Changed, bench: Bench) -> _Word:
    if not changed.parts.named():
        return _Word(None, "Nothing differs from the release in use, which passed.")
    if failed.sort is Sort.MODEL:
        return _alone(changed, Guilty.MODEL) if changed.model else _in_use(changed, "model")
    if failed.sort is Sort.CODE:
        return _alone(changed, Guilty.CODE) if changed.code else _in_use(changed, "code")
    named = {Guilty.MODEL: changed.model, Guilty.CODE: changed.code, Guilty.SETTINGS: changed.settings}
    differing = [part for part, differs in named.items() if differs]
    if len(differing) == 1:
        return _alone(changed, differing[0], "Nothing else changed since the release in use.")
    if failed.sort is Sort.UNTOLD:
        return _unknown(changed, "what failed cannot be tried part by part.")
    return _tried(failed, changed, bench)


def _alone(changed: Changed, guilty: Guilty, why: str = "It failed by itself, whatever it is combined with.") -> _Word:
    parts = _parts(changed, guilty)
    return _Word(guilty, f"Guilty is {changed.words(parts)}. {why}", (parts,))


def _in_use(changed: Changed, what: str) -> _Word:
    return _Word(None, f"The {what} is that of the release in use, and failed now: what judges it has changed.")


def _unknown(changed: Changed, why: str, trials: list[Trial] | None = None) -> _Word:
    """Nobody is blamed; what failed is barred as it is."""
    return _Word(None, f"Nobody is blamed: {why}", (changed.parts,), trials or [], settled=False)


def _tried(failed: FailedGate, changed: Changed, bench: Bench) -> _Word:
    try_out: TryOut = bench.compared(failed.flips) if failed.sort is Sort.FLIPS and failed.flips else bench.probed
    trials = [try_out(changed.old.candidate)]
    if trials[-1].passed is None:
        return _unknown(changed, f"the release in use could not be tried. {trials[-1].sentence}", trials)
    if not trials[-1].passed:
        also = " The settings of the service file changed too: look there." if changed.settings else ""
        why = f"the release in use fails by itself too, so the test or where it ran is at fault: {trials[-1].sentence}"
        return _Word(None, f"Nobody is blamed: {why}{also}", trials=trials)
    if failed.sort is Sort.FLIPS and not bench.answered:
        return _unknown(changed, "golden examples and checks are too few to compare answers with.", trials)
    trials.append(try_out(changed.new.candidate))
    if trials[-1].passed is None:
        return _unknown(changed, f"what failed could not be tried again. {trials[-1].sentence}", trials)
    if trials[-1].passed:
        where = "with golden examples alone" if failed.sort is Sort.FLIPS else "when its image was started by itself"
        return _unknown(changed, f"it did not fail again {where}.", trials)
    if not (changed.model and changed.code):  # beside settings, which both were tried with
        return _with_trials(_alone(changed, Guilty.MODEL if changed.model else Guilty.CODE, _CONTROL), trials)
    return _mixed(changed, try_out, trials)


_CONTROL = "The release in use passes with the new settings."


def _mixed(changed: Changed, try_out: TryOut, trials: list[Trial]) -> _Word:
    trials.append(try_out(changed.new_code_old_model))
    code = trials[-1]
    if code.passed is None:
        return _unknown(changed, f"{code.code} with {code.model} could not be tried. {code.sentence}", trials)
    if changed.untriable:
        return _unknown(changed, f"{changed.untriable}, so the new model cannot be tried without it.", trials)
    trials.append(try_out(changed.old_code_new_model))
    model = trials[-1]
    if model.passed is None:
        return _unknown(changed, f"{model.code} with {model.model} could not be tried. {model.sentence}", trials)
    if not code.passed and not model.passed and changed.other_recipe:
        return _unknown(changed, "all that is built by the recipe of this installation fails; that is new too.", trials)
    guilty = {
        (True, False): Guilty.MODEL,
        (False, True): Guilty.CODE,
        (True, True): Guilty.TOGETHER,
        (False, False): Guilty.EACH,
    }[code.passed, model.passed]
    said = [f"{one.code} with {one.model} {'passes' if one.passed else 'fails'}" for one in (code, model)]
    return _with_trials(_found(changed, guilty, f"{said[0]}; {said[1]}."), trials)


def _found(changed: Changed, guilty: Guilty, tried: str) -> _Word:
    model, code = changed.new.model, changed.code_words
    tried = tried[:1].upper() + tried[1:]
    if guilty is Guilty.TOGETHER:
        parts = changed.parts.model_copy(update={"settings": None})
        return _Word(guilty, f"Guilty are only {model} and {code} together. {tried}", (parts,))
    if guilty is Guilty.EACH:
        both = (_parts(changed, Guilty.MODEL), _parts(changed, Guilty.CODE))
        return _Word(guilty, f"Guilty are {model} and {code}, each by itself. {tried}", both)
    return _alone(changed, guilty, tried)


def _with_trials(word: _Word, trials: list[Trial]) -> _Word:
    word.trials = trials
    return word


def _parts(changed: Changed, guilty: Guilty) -> Parts:
    if guilty is Guilty.MODEL:
        return Parts(model=changed.parts.model)
    return changed.code_parts if guilty is Guilty.CODE else Parts(settings=changed.parts.settings)


def _commands(guilty: Guilty | None, changed: Changed) -> tuple[str, ...]:
    """What ships the other part alone, where there is one that changed."""
    if not (changed.model and changed.code):
        return ()
    code = changed.ship_code() if guilty in (Guilty.MODEL, Guilty.TOGETHER) else ""
    model = changed.ship_model() if guilty in (Guilty.CODE, Guilty.TOGETHER) else ""
    return tuple(command for command in (code, model) if command)
