"""A request about a preview becomes a run in Airflow, the same request the same run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from nightferry.cli.releasing.request import await_dag
from nightferry.clients.airflow.api import Airflow
from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.entities.decision import REQUEST
from nightferry.entities.ledger_entry import canonical
from nightferry.entities.preview import PreviewRequest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.record.state import read_state

PREVIEW_DAG, END_DAG = "preview", "end_previews"
_AGAIN = 100


def preview_run(airflow: Airflow, store: LedgerStore, request: PreviewRequest, clock: Clock) -> tuple[str, bool]:
    """Start the run that makes a preview, or find that of the same request, which has not pinned it yet; its id, and
    whether it is new.

    Raises:
        Permanent: (airflow_denied, request_invalid: parameters that Airflow refuses, or the DAG is paused)
        Temporary: (airflow_unavailable, storage_unavailable)
    """
    conf = {name: value for name, value in request.to_json().items() if value not in (None, "")}
    after = read_state(store, request.service).preview_number
    what = {"preview": request.to_json(), "after": after}
    return _run(airflow, PREVIEW_DAG, f"{REQUEST}{hashlib.sha256(canonical(what)).hexdigest()[:16]}", conf, clock)


def end_run(airflow: Airflow, preview: str, reason: str, clock: Clock) -> str:
    """Start the run that ends a preview, or find the one that is at it; its id. Raises as `preview_run`."""
    conf = {"preview": preview, **({"reason": reason} if reason else {})}
    return _run(airflow, END_DAG, f"end-{preview}", conf, clock)[0]


def _run(airflow: Airflow, dag: str, name: str, conf: Mapping[str, Any], clock: Clock) -> tuple[str, bool]:
    await_dag(airflow, dag, clock)
    for number in range(1, _AGAIN + 1):
        run = name if number == 1 else f"{name}-{number}"
        found = airflow.run(dag, run)
        if found is None:
            return run, airflow.trigger(dag, run, conf)
        if not found.ended:
            return run, False
    raise Permanent(Reason.REQUEST_INVALID, f"This was asked for {_AGAIN} times already; do it in Airflow, DAG {dag}.")
