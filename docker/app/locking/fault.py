"""What was wrong, as one sentence on a line of its own that the builder's reader looks for."""

from __future__ import annotations

import json
import re

MARK = "NIGHTFERRY-FAULT"
LONGEST = 1500
"""Characters: a longer line might reach the reader in two pieces."""
RENEW = "nightferry app lock SERVICE --upgrade renews the lock."
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]*://\S+|\bhost='[^']*'", re.IGNORECASE)


class Fault(Exception):
    """A sentence: what was wrong, where, what to do. Temporary: trying again may help."""

    def __init__(self, sentence: str, *, temporary: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.temporary = temporary

    def line(self) -> str:
        """As it is printed."""
        text = without_addresses(self.sentence)
        text = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
        return f"{MARK} {json.dumps({'sentence': text, 'temporary': self.temporary}, sort_keys=True)}"


def without_addresses(text: str) -> str:
    """The text on one line, of each address only the file that it ends with: an address may hold a password."""
    return " ".join(_ADDRESS.sub(_file, text).split())


def _file(found: re.Match[str]) -> str:
    path = re.split(r"[?#]", found.group().rstrip("'\"),;:."))[0].rstrip("/")
    last = path.rpartition("/")[2]
    return last if path.count("/") > 2 and "@" not in last else "…"
