"""Who sits at this machine."""

from __future__ import annotations

import getpass
import os
import socket
from contextlib import suppress

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def me(option: str) -> str:
    """The person's name: GIT_AUTHOR_NAME, else the name of the account.

    Args:
        option: how to say it instead.

    Raises:
        Permanent: (setting_missing) the account has no name, as in a container that runs under any number.
    """
    try:
        return os.environ.get("GIT_AUTHOR_NAME") or getpass.getuser()
    except (KeyError, OSError) as fault:
        raise Permanent(Reason.SETTING_MISSING, f"This account has no name; say who it is with {option}.") from fault


def at_work() -> str:
    """Where this process runs and for whom: `ana@laptop`, and in a pod, whose account has no name, the pod's name."""
    host = socket.gethostname()
    with suppress(Permanent):
        return f"{me('')}@{host}"
    return host
