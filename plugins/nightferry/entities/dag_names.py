"""Which of Airflow's DAGs are Nightferry's, and by which of them people ask for something."""

from __future__ import annotations

from nightferry.entities.approvals.runs import PREFIX as APPROVE

RELEASE = "release_"
"""How the DAGs begin that release a service."""
ASKING = frozenset({"preview", "end_previews"})
"""Whose runs a person who may only ask starts, beside those that release."""
OPERATED = frozenset({"drift", "rehearsal", "retire_releases", "roll_back", "watch"})
"""Whose runs the schedule starts, or an operator."""


def is_ours(dag: str) -> bool:
    """Whether a DAG of this id is one of Nightferry's."""
    return dag in ASKING | OPERATED or dag.startswith((RELEASE, APPROVE))


def is_asked(dag: str) -> bool:
    """Whether a run of it asks for a release or a preview, and for nothing else."""
    return dag in ASKING or dag.startswith(RELEASE)
