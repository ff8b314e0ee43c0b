"""Fills the database of an Airflow of the tests: tables, the project's DAGs, its users, and what they are asked about.

It runs with the Python of that Airflow: `prepare.py simple|fab`, the users' passwords on its standard input.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
from typing import Any

from tests.rights.table import ROLES, release_of


def command(*words: str) -> None:
    """Run one of Airflow's own commands, in this process."""
    from airflow.cli.cli_parser import get_parser

    arguments = get_parser().parse_args(words)
    arguments.func(arguments)


def add_fab_users(passwords: dict[str, str]) -> None:
    from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder

    with get_application_builder() as builder:
        builder.sm.sync_roles()
        for role in ROLES:
            known = builder.sm.find_role(role.capitalize())
            assert builder.sm.add_user(role, role, "Test", f"{role}@example.org", known, passwords[role]), role


def fab_ids() -> dict[str, str]:
    from airflow.providers.fab.auth_manager.models import User
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return {user.username: str(user.id) for user in session.scalars(select(User))}


def start(dag: str, run: str, session: Any) -> Any:
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType, DagRunType

    found = SerializedDagModel.get(dag, session=session)
    assert found, f"{dag} was not parsed"
    return found.dag.create_dagrun(
        run_id=run,
        run_after=dt.datetime.now(dt.UTC),
        run_type=DagRunType.MANUAL,
        triggered_by=DagRunTriggeredByType.TEST,
        state=DagRunState.QUEUED,
        session=session,
    )


def seed(ids: dict[str, str]) -> None:
    """Runs of a release for each role, and open questions: one where its person is listed, and one where somebody else
    is."""
    from airflow.utils.session import create_session

    with create_session() as session:
        for role in ROLES:
            for run in (f"of-{role}", f"gone-{role}"):
                start("release_digits", run, session)
        listed = {(role, "listed"): ids[role] for role in ROLES}
        asked = listed | {(role, "other"): "nobody-here" for role in ROLES}
        for run in ("seeded", *(run_of(*who) for who in asked)):
            started = start("approve_digits", run, session)
            session.flush()
            for (role, whose), person in asked.items():
                if run in ("seeded", run_of(role, whose)):
                    task = started.get_task_instance(f"{whose}_{role}", session=session)
                    question(task, {"id": person, "name": role}, session)


def run_of(role: str, whose: str) -> str:
    """The run that asks about a release of a role's own, which `nightferry approve` looks for."""
    return f"approve-{release_of(role, whose)}-production-0"


def question(task: Any, person: dict[str, str], session: Any) -> None:
    from airflow.models.hitl import HITLDetail

    task.state = "awaiting_input"
    options = ["Approve", "Reject"]
    session.add(HITLDetail(ti_id=task.id, options=options, subject="May it?", assignees=[person], params={}))


if __name__ == "__main__":
    passwords = json.load(sys.stdin)
    command("db", "migrate")
    command("dags", "reserialize")
    if sys.argv[1] == "fab":
        add_fab_users(passwords)
    seed(fab_ids() if sys.argv[1] == "fab" else {role: role for role in ROLES})
