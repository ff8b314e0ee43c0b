"""Is a release wrong for one class, although most of its answers are right? Ask it and the one in use the same.

An average hides it: one class of ten is a tenth of the answers. So each class is judged by itself, by the answers whose
class the release in use says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nightferry.clients.service_client import Unanswered
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.steps.judging.compare_answers import compare
from nightferry.steps.judging.questions import NoAnswer, Question, Said, Side

RECORDED_LEAST = 10
"""Of what users asked so many of a class say something: their right answers are not known. A known answer is one."""
NO_ANSWER = "no answer"


@dataclass
class Classes:
    """What was asked, by the class that the release in use says."""

    asked: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """(class, whether its answer is a known one) -> answers."""
    otherwise: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """Of these, those that the other release answers otherwise, or not."""
    instead: dict[str, Counter[str]] = field(default_factory=dict)
    """Class -> what it says instead."""
    silent: int = 0
    """Questions that the release in use did not answer."""

    @property
    def compared(self) -> int:
        """Answers that were compared."""
        return sum(self.asked.values())

    def wrong(self) -> list[str]:
        """The classes of whose answers more than half are others, worst first."""
        found = {
            label: self.otherwise[label, known] / asked
            for (label, known), asked in self.asked.items()
            if 2 * self.otherwise[label, known] > asked and (known or asked >= RECORDED_LEAST)
        }
        return sorted(found, key=lambda label: (-found[label], label))


def compare_classes(questions: Sequence[Question], in_use: Side, candidate: Side) -> Classes:
    """Ask both everything once.

    Raises:
        Temporary: (verify_unreachable) the candidate, or the release in use to every question, does not answer at all.
    """
    found = Classes()
    for question in questions:
        before = _asked(question, in_use)
        if before is None:
            found.silent += 1
            continue
        after = _asked(question, candidate, patient=True)
        for row, said in enumerate(before):
            _compare(found, question, said, after[row] if after is not None and len(after) == len(before) else None)
    if questions and not found.compared:
        raise Temporary(
            Reason.VERIFY_UNREACHABLE,
            f"The release in use answered none of {len(questions)} questions, so no answer can be compared with its.",
        )
    return found


def refuse_wrong_class(found: Classes, names: tuple[str, str]) -> None:
    """Raise Permanent (verify_golden_wrong) for the class that is wrong most.

    Args:
        found: the answers.
        names: of the release in use and of the candidate.
    """
    wrong = found.wrong()
    if not wrong:
        return
    label = wrong[0]
    asked, otherwise = (sum(count[label, known] for known in (True, False)) for count in (found.asked, found.otherwise))
    instead = found.instead[label].most_common(1)[0][0]
    others = f" So are {len(wrong) - 1} more: {', '.join(wrong[1:6])}." if len(wrong) > 1 else ""
    raise Permanent(
        Reason.VERIFY_GOLDEN_WRONG,
        f"{names[1]} is wrong for class {label}: of {asked} answers that {names[0]} gives so, {otherwise} are others, "
        f"mostly {instead}.{others}",
    )


def _asked(question: Question, side: Side, *, patient: bool = False) -> Sequence[Said] | None:
    """What was said; None for no answer to this question."""
    for again in (patient, False):
        try:
            return question.read(side, question.ask(side))
        except NoAnswer:
            if not again:
                return None
        except Unanswered as fault:
            if not patient:
                return None
            if not again:
                raise Temporary(Reason.VERIFY_UNREACHABLE, f"{side.client.address} did not answer: {fault}.") from fault
    return None


def _compare(found: Classes, question: Question, before: Said, after: Said | None) -> None:
    if before.document is not None and after is not None:
        return  # numbers move from model to model: only a class, or no answer at all, is judged here
    key = before.label, question.source != "recorded"
    found.asked[key] += 1
    if after is not None and not compare(before, after).flipped:
        return
    found.otherwise[key] += 1
    found.instead.setdefault(before.label, Counter())[after.label if after else NO_ANSWER] += 1
