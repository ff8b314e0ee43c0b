"""The rules of a decision, in their order: the first that has a word decides.

Each rule stands in a file of its own: a plain function of a question, which gives its word or None.
"""

from nightferry.steps.deciding.rules.changes import (
    first_release,
    forced,
    new_inputs,
    new_packages,
    new_platform,
    unchanged,
)
from nightferry.steps.deciding.rules.frozen import frozen
from nightferry.steps.deciding.rules.held import held
from nightferry.steps.deciding.rules.moved_schedule import moved_schedule
from nightferry.steps.deciding.rules.new_settings import new_settings
from nightferry.steps.deciding.rules.quarantined import quarantined
from nightferry.steps.deciding.rules.question import Question, Rule, Word
from nightferry.steps.deciding.rules.waiting import ready, waiting

__all__ = ["RULES", "Question", "Rule", "Word"]

RULES: tuple[Rule, ...] = (
    moved_schedule,
    held,
    frozen,
    ready,
    quarantined,
    waiting,
    first_release,
    new_inputs,
    new_packages,
    new_platform,
    new_settings,
    forced,
    unchanged,
)
