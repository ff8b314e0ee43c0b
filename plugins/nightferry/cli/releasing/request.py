"""A request becomes a run in Airflow, the same request the same run."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from nightferry.clients.airflow.api import Airflow
from nightferry.clients.clock import Clock
from nightferry.clients.doors.ledger_store import LedgerStore
from nightferry.clients.person import at_work
from nightferry.entities.decision import REQUEST, ReleaseRequest
from nightferry.entities.ledger_entry import canonical
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import ServiceSpec
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.steps.record.state import read_state
from nightferry.steps.record.trigger_record import record_joined

PARSE_SECONDS = 90.0
"""How long a new service file may take until Airflow has its DAG."""
_AGAIN = 100


@dataclass(frozen=True)
class Started:
    """A run that carries out a request."""

    dag: str
    run: str
    new: bool
    """False: the run was there already."""


def dag_of(spec: ServiceSpec) -> str:
    """The id of the service's DAG."""
    return f"release_{spec.service}"


def start(
    airflow: Airflow,
    store: LedgerStore,
    spec: ServiceSpec,
    request: ReleaseRequest,
    clock: Clock,
    request_id: str | None = None,
) -> Started:
    """Start the run of a request, or find it.

    Without an id, a request is the same as one before until that one has ended; an id is the same request for ever.

    Raises:
        Permanent: (airflow_denied, request_invalid: parameters that Airflow refuses, or the DAG is paused)
        Temporary: (airflow_unavailable, storage_unavailable)
    """
    dag = dag_of(spec)
    await_dag(airflow, dag, clock)
    # `force` as a boolean and only what was asked for: the run's page in Airflow shows it as typed.
    conf = {name: value for name, value in request.to_json().items() if value not in (None, "", False)}
    if request_id:
        return Started(dag, request_id, airflow.trigger(dag, request_id, conf))
    name = request_name(spec, request, store)
    for number in range(1, _AGAIN + 1):
        # A run that ended without a word on the record (the storage was down, say) must not bar its own repetition.
        run = name if number == 1 else f"{name}-{number}"
        found = airflow.run(dag, run)
        if found is None:
            # When the run is there now, somebody asks the same at this moment, or an answer to us was lost: it is this
            # request's run, even if it has ended since.
            return Started(dag, run, airflow.trigger(dag, run, conf))
        if not found.ended:
            return Started(dag, run, new=False)
    raise Permanent(Reason.REQUEST_INVALID, f"This request has ended {_AGAIN} times already; name it: --request-id ID.")


def note_joined(store: LedgerStore, spec: ServiceSpec, started: Started, clock: Clock, request_id: str | None) -> str:
    """Write down who joined a run that was there already; what is to be said where that cannot be written."""
    if started.new:
        return ""
    try:
        watching = request_id is not None
        record_joined(store, clock, service=spec.service, run=started.run, actor=at_work(), watching=watching)
    except NightferryError as silent:  # the run goes on all the same
        return f"The record does not have that you joined the run: {silent.sentence}"
    return ""


def request_name(spec: ServiceSpec, request: ReleaseRequest, store: LedgerStore) -> str:
    """The run id of a request: the same until a run has ended, since every end is on the record."""
    what = {"service": spec.service, "request": request.to_json(), "after": read_state(store, spec.service).ended}
    return f"{REQUEST}{hashlib.sha256(canonical(what)).hexdigest()[:16]}"


def await_dag(airflow: Airflow, dag: str, clock: Clock) -> None:
    """A new service file, or an Airflow that has just started, needs a moment."""
    deadline = clock.monotonic() + PARSE_SECONDS
    while True:
        paused = airflow.paused(dag)
        if paused is False:
            return
        if paused:
            sentence = f"The DAG {dag} is paused, by a person: unpause it in Airflow, then ask again."
            raise Permanent(Reason.REQUEST_INVALID, sentence)
        if clock.monotonic() >= deadline:
            raise Temporary(
                Reason.AIRFLOW_UNAVAILABLE,
                f"Airflow has had no DAG {dag} for {PARSE_SECONDS:.0f} s: is its dag-processor well, does it read the "
                "same service files?",
            )
        clock.sleep(1.0)
