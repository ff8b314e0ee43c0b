"""How a failed step reaches Airflow and the record: its kind decides the retries, its reason goes on the record."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from airflow.sdk import ExceptionRetryPolicy, RetryAction, RetryRule
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout

from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent

log = logging.getLogger(__name__)

FAILURE = "failure"
"""The XCom key under which a task leaves why it failed: {"reason", "sentence", "permanent"}."""

RUN_TYPES = ("scheduled", "manual", "operator_triggered")
"""The runs that a DAG may have by which people ask for something, and no backfill: that clears runs which are over and
gives them other parameters, and Airflow lets everybody do it who may start a run."""

RETRYING: Mapping[str, Any] = {
    "retries": 3,
    "retry_delay": dt.timedelta(seconds=5),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": dt.timedelta(minutes=2),
    "retry_policy": ExceptionRetryPolicy(
        rules=[
            RetryRule(
                exception="nightferry.errors.Permanent",
                action=RetryAction.FAIL,
                reason="permanent: trying again cannot help",
            )
        ]
    ),
}
"""Default arguments of every task: a permanent failure fails at once, any other is tried again with growing pauses."""


@contextmanager
def reported(context: Any) -> Iterator[None]:
    """Leave the reason of whatever fails inside in XCom, for the record, and let it through.

    A task that ends without such a note was killed: the record calls it interrupted.
    """
    try:
        yield
    except AirflowSkipException:
        raise
    except NightferryError as failure:
        _push(context, failure.reason, failure.sentence, permanent=isinstance(failure, Permanent))
        # Airflow prints the whole chain of causes; the sentence already says what a person needs.
        log.debug("The cause", exc_info=failure.__cause__)
        raise failure from None
    except AirflowTaskTimeout:
        _push(context, Reason.INTERRUPTED, "It took longer than it may, and was stopped.", permanent=False)
        raise
    except Exception as failure:
        what = f"It met an error that nobody foresaw ({type(failure).__name__}); the task's log in Airflow has more."
        _push(context, Reason.INTERNAL_ERROR, what, permanent=False)
        raise


def _push(context: Any, reason: str, sentence: str, *, permanent: bool) -> None:
    context["ti"].xcom_push(key=FAILURE, value={"reason": reason, "sentence": sentence, "permanent": permanent})
