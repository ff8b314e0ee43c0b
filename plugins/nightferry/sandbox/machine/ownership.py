"""One sandbox per machine: who has it, and one command at a time that changes it."""

from __future__ import annotations

import contextlib
import fcntl
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.sandbox.layout import Layout
from nightferry.sandbox.machine import leftovers

BOOT = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Holder:
    """Whose the machine's sandbox is."""

    home: Path
    boot: str
    own_docker: bool = False
    """The sandbox runs a Docker engine of its own."""


def boot_id() -> str:
    """The id of the machine's present start; the next start has another one."""
    return BOOT.read_text(encoding="ascii").strip()


def holder(layout: Layout) -> Holder | None:
    """Who has the machine's sandbox; None where nobody does."""
    try:
        kept = json.loads((layout.runtime / "holder.json").read_text(encoding="utf-8"))
        return Holder(Path(kept["home"]), str(kept["boot"]), bool(kept.get("own_docker")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def claim(layout: Layout, *, own_docker: bool) -> None:
    """Write down that this sandbox has the machine."""
    kept = {"home": str(layout.home), "boot": boot_id(), "own_docker": own_docker}
    layout.write(layout.runtime / "holder.json", json.dumps(kept) + "\n", mode=0o644)


def release(layout: Layout) -> None:
    """Write down that no sandbox has the machine."""
    (layout.runtime / "holder.json").unlink(missing_ok=True)


def refuse_another(layout: Layout) -> None:
    """Refuse to go on where a sandbox with another state folder runs.

    Raises:
        Permanent: (sandbox_failed) one does; the sentence says how to stop it.
    """
    other = holder(layout)
    if (
        other
        and other.home != layout.home
        and other.boot == boot_id()
        and leftovers.remaining(replace(layout, home=other.home))
    ):
        sentence = (
            f"The sandbox of {other.home} runs on this machine, and there can be one at a time. "
            f"Stop it first: NIGHTFERRY_HOME={other.home} nightferry down"
        )
        raise Permanent(Reason.SANDBOX_FAILED, sentence)


@contextlib.contextmanager
def exclusively(layout: Layout) -> Iterator[None]:
    """Let no other `up`, `down` or `clean` run on this machine meanwhile.

    Raises:
        Permanent: (sandbox_failed) one does.
    """
    layout.runtime.mkdir(mode=0o755, exist_ok=True)
    with (layout.runtime / "lock").open("a", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            sentence = "Another `nightferry up`, `down` or `clean` is at work on this machine: wait for it."
            raise Permanent(Reason.SANDBOX_FAILED, sentence) from cause
        yield
