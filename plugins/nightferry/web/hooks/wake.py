"""Start a run of the watch for one delivery: the one place that uses Airflow's internal way to start a run.

The public way, the REST API, would need an account and its password here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nightferry.entities.watching.push import Push

DAG = "watch"
MOST_QUEUED = 2
"""So many runs of one repository may wait to begin: each of them looks after all that was pushed until then."""
_SAFE = re.compile(r"[^A-Za-z0-9_.-]")


def run_id(push: Push) -> str:
    """The id of a delivery's run: the same delivery has the same, however often it comes."""
    delivery = _SAFE.sub("_", push.delivery)
    if delivery != push.delivery or len(delivery) > 60:
        delivery = hashlib.sha256(push.delivery.encode()).hexdigest()[:32]
    return f"{_prefix(push.repositories)}{push.provider}-{delivery}"


def wake(push: Push) -> bool:
    """Start the look; False where it is known already: the same delivery, or looks of that repository that wait.

    It takes some 10 ms of Airflow's database.
    """
    from airflow.api.common.trigger_dag import trigger_dag
    from airflow.exceptions import DagRunAlreadyExists
    from airflow.utils.types import DagRunTriggeredByType
    from sqlalchemy.exc import IntegrityError

    if _queued(_prefix(push.repositories)) >= MOST_QUEUED:
        return False
    conf: Mapping[str, Any] = {"push": push.to_json()}
    try:
        # No person's name: the release that this leads to is nobody's request, and the record says who pushed.
        trigger_dag(DAG, run_id=run_id(push), conf=dict(conf), triggered_by=DagRunTriggeredByType.REST_API)
    except (DagRunAlreadyExists, IntegrityError):
        return False
    return True


def _prefix(repositories: Sequence[str]) -> str:
    return f"hook-{hashlib.sha256(' '.join(sorted(repositories)).encode()).hexdigest()[:10]}-"


def _queued(prefix: str) -> int:
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from sqlalchemy import func, select

    with create_session() as session:
        count = select(func.count()).where(
            DagRun.dag_id == DAG, DagRun.state == DagRunState.QUEUED, DagRun.run_id.startswith(prefix, autoescape=True)
        )
        return int(session.scalar(count) or 0)
