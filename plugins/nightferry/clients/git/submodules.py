"""Where a commit's submodules are."""

from __future__ import annotations

import re

from nightferry.clients.git.command import Git

REMOTE = "https:http:ssh:git"
"""What the address of a submodule may speak. It is written by whoever commits: it must not reach this machine's files,
unless the repository that names it is one of them."""


def addresses(git: Git, commit: str) -> dict[str, str]:
    """The address of each submodule in `.gitmodules`, as written there, by its path in the repository."""
    listing = git.quietly("config", "--blob", f"{commit}:.gitmodules", "-z", "--list") or ""
    known = dict(entry.partition("\n")[::2] for entry in listing.split("\0") if entry)
    paths = {name: path for name, path in known.items() if re.fullmatch(r"submodule\..*\.path", name, re.DOTALL)}
    found = {path: known.get(name.removesuffix(".path") + ".url", "") for name, path in paths.items()}
    return {path.rstrip("/"): address for path, address in found.items() if address}


def absolute(address: str, base: str) -> str:
    """An address that starts with `./` or `../` is meant from the repository that names it, as git reads it."""
    if not address.startswith(("./", "../")):
        return address
    base, between = base.rstrip("/"), "/"
    while address.startswith(("./", "../")):
        step, _, address = address.partition("/")
        if step == "..":
            cut = max(base.rfind("/"), base.rfind(":"))
            base, between = base[: max(cut, 0)], base[cut : cut + 1]
    return f"{base}{between}{address}"


def is_local(address: str) -> bool:
    """Whether git reads the repository from this machine's files."""
    return address.startswith("file://") or not re.match(r"[a-z+]+://|[^/:]+:", address)


def protocols(base: str) -> str:
    """What git may speak to a submodule of the repository `base`."""
    return f"{REMOTE}:file" if is_local(base) else REMOTE
