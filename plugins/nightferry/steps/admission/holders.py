"""What can keep a release from an environment, in the order in which it is asked: the first that has a word counts."""

from __future__ import annotations

from nightferry.steps.admission.admission import Holder
from nightferry.steps.admission.awaits_approval import awaits_approval
from nightferry.steps.admission.frozen import frozen
from nightferry.steps.admission.held import held
from nightferry.steps.admission.until_published import until_published

HOLDERS: tuple[Holder, ...] = (until_published, awaits_approval, held, frozen)
"""People are asked first: what they said yes to waits for a hold or a window with its answers."""
