"""What a branch, tag or commit may be called: the rules of `git check-ref-format --allow-onelevel`."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//")


def check_git_ref(name: str) -> None:
    """Refuse a name that git refuses.

    Raises:
        ValueError: what is wrong with it.
    """
    if not name or name == "@":
        raise ValueError("a branch, a tag or a commit is wanted")
    found = _FORBIDDEN.search(name)
    if found:
        raise ValueError(f"git allows no {found[0]!r} in the name of a branch or tag ({name!r})")
    if name.startswith(("/", "-")) or name.endswith(("/", ".")):
        raise ValueError(f"git allows no branch or tag that is called {name!r}: look at its first and last character")
    if any(part.startswith(".") or part.endswith(".lock") for part in name.split("/")):
        raise ValueError(f"git allows no part of a name that begins with a dot or ends with .lock ({name!r})")
