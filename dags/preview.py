"""
### Preview a model

A model and a commit at an address of their own, for some hours: the image is built and tested as that of a release is,
never published, and started in the namespace `nightferry-trial`, which no users reach. There it is asked the golden
examples, and compared with the release in use. `nightferry preview SERVICE --model VERSION` starts it and shows that;
`nightferry preview list` shows what runs, until when. It ends by itself.

A preview gives no right to a release and is none: `nightferry preview promote PREVIEW` asks for one as everybody does.
"""

from __future__ import annotations

import datetime as dt

from airflow.sdk import DAG, Param, chain
from nightferry import settings
from nightferry.clients.airflow.api import BUILDER_POOL
from nightferry.entities import release_steps as steps
from nightferry.entities.preview import HOURS, MOST_HOURS
from nightferry.operators.failures import RETRYING
from nightferry.operators.image.build_image import BuildImageOperator
from nightferry.operators.image.test_image import TestImageOperator
from nightferry.operators.image.test_source import TestSourceOperator
from nightferry.operators.model.check_model import CheckModelOperator
from nightferry.operators.model.fetch_model import FetchModelOperator
from nightferry.operators.previews.bring_up import BringUpOperator
from nightferry.operators.previews.pin import PIN, PinPreviewOperator
from nightferry.operators.previews.record import BRING_UP, RecordPreviewOperator
from nightferry.operators.watcher import WatcherOperator
from nightferry.steps.services.load_services import load_services

PINNED = "{{ ti.xcom_pull(task_ids='pin') | tojson }}"
"""The template of a field that holds what was pinned."""


def services() -> list[str]:
    """Those that have a sound service file."""
    now = settings.load()
    return sorted(load_services(now.services_folders, now.expandable).specs)


def minutes(number: int) -> dict[str, dt.timedelta]:
    """How long a task may take."""
    return {"execution_timeout": dt.timedelta(minutes=number)}


with DAG(
    dag_id="preview",
    description="Runs a model at an address of its own for some hours, compared with the release in use",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=10,
    is_paused_upon_creation=False,
    dagrun_timeout=dt.timedelta(hours=6),
    # Where machines are shared, everything that belongs to a release goes first.
    default_args={"owner": "nightferry", "priority_weight": 1, **RETRYING},
    params={
        "service": Param(type="string", enum=services() or ["none"], title="Service", description="Whose model it is."),
        "model": Param(
            type="string",
            pattern=r"^[A-Za-z0-9][-_.A-Za-z0-9]*$",
            maxLength=80,
            title="Model version",
            description="A published version of the service's model.",
        ),
        "commit": Param(
            None,
            type=["null", "string"],
            pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$",
            title="Commit",
            description="The full id of a commit of the service's source. Empty: what the service file's ref names.",
        ),
        "hours": Param(
            HOURS, type="integer", minimum=1, maximum=MOST_HOURS, title="Hours", description="How long it runs."
        ),
        "reason": Param(
            None, type=["null", "string"], maxLength=500, title="Reason", description="Why, on the record."
        ),
    },
    tags=["nightferry", "preview"],
):
    aside = {"weight_rule": "absolute"}
    building = {"pool": BUILDER_POOL, **aside}
    pin = PinPreviewOperator(task_id=PIN, **building, **minutes(60))
    tests = TestSourceOperator(task_id=steps.TEST_SOURCE, decision=PINNED, **building, **minutes(60))
    fetch = FetchModelOperator(task_id=steps.FETCH_MODEL, decision=PINNED, **aside, **minutes(120))
    check = CheckModelOperator(task_id=steps.CHECK_MODEL, decision=PINNED, **aside, **minutes(15))
    build = BuildImageOperator(task_id=steps.BUILD_IMAGE, decision=PINNED, **building, **minutes(60))
    test = TestImageOperator(task_id=steps.TEST_IMAGE, decision=PINNED, **building, **minutes(75))
    up = BringUpOperator(task_id=BRING_UP, decision=PINNED, **minutes(20))
    record = RecordPreviewOperator(task_id="record", trigger_rule="all_done", **minutes(15))
    watcher = WatcherOperator(task_id="watcher", trigger_rule="one_failed", retries=0, **minutes(15))
    chain(pin, fetch, check, build, test, up, record)
    pin >> tests >> up
    everything = [pin, tests, fetch, check, build, test, up]
    everything >> record
    [*everything, record] >> watcher
