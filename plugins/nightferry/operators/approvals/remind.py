"""The task that reminds people when half of their time is over."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

from airflow.providers.standard.triggers.temporal import DateTimeTrigger
from airflow.sdk import BaseOperator, conf

from nightferry.clients.clock import SystemClock
from nightferry.hooks.storage import STORAGE
from nightferry.operators.approvals.matter import Matter, matter_of
from nightferry.operators.approvals.notify import TellApprovers
from nightferry.operators.failures import reported


class RemindOperator(BaseOperator):
    """Waits in the triggerer until half of the time is over, and then tells those who can still answer."""

    template_fields: Sequence[str] = ()

    def __init__(self, *, service: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.service = service
        self.storage_conn_id = storage_conn_id
        self.matter: Matter | None = None

    def execute(self, context: Any) -> None:
        """Wait, if there is anything to wait for."""
        with reported(context):
            now = SystemClock().now()
            matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            if matter.over(now):
                return
            left = dt.datetime.fromisoformat(str(matter.terms.until)) - now
        self.defer(trigger=DateTimeTrigger(moment=now + left / 2), method_name="remind")

    def remind(self, context: Any, event: Any = None) -> None:
        """Tell them again, if their answers are still missing."""
        with reported(context):
            self.matter = matter_of(context["dag_run"], self.service, self.storage_conn_id)
            if over := self.matter.over(SystemClock().now()):
                self.log.info("%s", over)
                return
            TellApprovers(again=True).notify(context)

    def link(self, context: Any) -> str:
        """The run's page, which names the open question."""
        base, ti = str(conf.get("api", "base_url", fallback="") or "").rstrip("/"), context["ti"]
        return f"{base}/dags/{ti.dag_id}/runs/{ti.run_id}/required_actions"
