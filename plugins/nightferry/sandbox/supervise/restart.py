"""`python -m nightferry.sandbox.supervise.restart COMMAND…`: end what a killed process left, then become COMMAND.

A killed Airflow scheduler leaves its workers behind, idle ones for good and busy ones beside their own repetition. The
supervisor starts every part as the leader of a process group of its own, all in one session: in this session, a group
whose leader is gone is such a remainder. Its processes are ended without a word, as the leader was: asked to end, a
task would delete the pod that its repetition is going to find.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from nightferry.sandbox.machine import orphans


def remainders(proc: Path = orphans.PROC) -> set[int]:
    """The processes of this session whose group has lost its leader."""
    session, own = os.getsid(0), os.getpgrp()
    found = set()
    for pid, facts in orphans.all_processes(proc).items():
        leader_gone = facts.group not in {own, pid} and not orphans.alive(facts.group, proc)
        if facts.session == session and leader_gone:
            found.add(pid)
    return found


def main(words: list[str]) -> None:
    """Become the command; it does not return."""
    orphans.end(remainders(), patience=0)
    os.execv(words[0], words)  # noqa: S606 a fixed list of words, no shell wanted


if __name__ == "__main__":
    main(sys.argv[1:])
