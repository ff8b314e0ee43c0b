"""Begin a repository with one commit."""

from __future__ import annotations

from pathlib import Path

from nightferry.clients.git.command import Git, GitFault
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

BRANCH = "main"
_CRUD = " .,:;<>\"\\'\n"
"""What git strips from a name; of a name that is nothing else, it makes no commit."""


def new_repository(folder: Path, message: str, author: str) -> str:
    """Make a repository of a folder, with all that is in it in one commit of the branch `main`.

    Args:
        folder: a folder that is no repository yet.
        message: the commit's.
        author: who makes it where git's own configuration does not say.

    Returns: the commit.
    Raises:
        Permanent: (source_repository_unavailable) git cannot do it, or is not installed.
    """
    git = Git(folder, itself=True)
    # Neither a person's templates and hooks nor a signature that would have to be unlocked hinder it.
    plain = ("-c", "init.templateDir=", "-c", "core.hooksPath=/dev/null", "-c", "commit.gpgSign=false")
    try:
        git.run(*plain, "init", "--quiet", "-b", BRANCH)
        name = git.quietly("config", "user.name") or author
        name = name if name.strip(_CRUD) else "nightferry"
        email = git.quietly("config", "user.email") or "nobody@localhost"
        git.run("add", "--all", "--force")  # whatever a person has git ignore everywhere
        git.run(*plain, "-c", f"user.name={name}", "-c", f"user.email={email}", "commit", "--quiet", "-m", message)
        return git.run("rev-parse", "HEAD")
    except GitFault as fault:
        sentence = f"No repository can be made of {folder}: {fault.said}; nothing was written."
        raise Permanent(Reason.SOURCE_REPOSITORY_UNAVAILABLE, sentence) from fault
