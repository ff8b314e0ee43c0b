"""The errors of Nightferry.

Every failure that a release can meet is one of two kinds, and the kind decides what happens next: a `Permanent` one
fails at once, because trying again cannot help; a `Temporary` one is tried again with growing pauses. Vendors' own
exceptions never leave the clients: each is turned into one of these, with the original as its cause.
"""

from __future__ import annotations

from nightferry.entities.reason import Reason
from nightferry.masking import mask


class NightferryError(Exception):
    """A failure with a reason code and one sentence: what was wrong, where, what to do.

    The code is a Reason; a word of another version only where it was read in the record. A secret in the sentence is
    masked here, since it may repeat what another system said.
    """

    def __init__(self, reason: Reason | str, sentence: str) -> None:
        self.reason = reason
        self.sentence = mask(sentence)
        super().__init__(self.sentence)

    def __reduce__(self) -> tuple[type[NightferryError], tuple[Reason | str, str]]:
        return type(self), (self.reason, self.sentence)


class Permanent(NightferryError):
    """Trying again cannot help: a person has to change something."""


class Temporary(NightferryError):
    """An outside system did not answer or was busy: trying again may help."""
