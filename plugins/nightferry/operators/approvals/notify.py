"""Tell people that they are asked: by mail, Slack and Teams, as far as Airflow has connections for them.

Every message is a link to the question: who follows it answers with a login of their own. Telling fails nothing, and
takes a few seconds at the most, whatever mail and chat servers do.
"""

from __future__ import annotations

import html
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook, BaseNotifier
from airflow.sdk.exceptions import AirflowNotFoundException

from nightferry import settings
from nightferry.entities.approvals.people import People
from nightferry.steps.approvals.load_people import load_people

if TYPE_CHECKING:
    from nightferry.operators.approvals.matter import Matter

log = logging.getLogger(__name__)

MAIL, SLACK, TEAMS = "nightferry_mail", "nightferry_slack", "nightferry_teams"
"""Airflow's connections: of a mail server (type smtp), and of two webhooks, each with its whole address as the
password, since whoever knows it can write there."""
SECONDS = 5.0
"""How long the task waits for them all."""
TIMEOUT = (3.0, SECONDS)


class TellApprovers(BaseNotifier):
    """Tells those who can still answer; `again` says that it is a reminder."""

    def __init__(self, *, again: bool = False) -> None:
        super().__init__()
        self.again = again

    def notify(self, context: Any) -> None:
        """Tell them; nothing that goes wrong here is a failure of the question."""
        try:
            matter, link = context["task"].matter, question_link(context)
            jobs = _jobs(context, matter, link, again=self.again)
        except Exception as fault:  # the question is what counts
            log.warning("Nobody was told of the question: %s", type(fault).__name__)
            return
        run_all(jobs, SECONDS)


def question_link(context: Any) -> str:
    """Where the question is answered."""
    task = context["task"]
    return (
        str(task.link(context))
        if hasattr(task, "link")
        else str(task.generate_link_to_ui_from_context(context=context))
    )


def run_all(jobs: Sequence[tuple[str, Callable[[], None]]], seconds: float) -> None:
    """Run all jobs side by side, and wait so long; what is not done then is left to end, or to die with the task."""
    threads = [threading.Thread(target=_quietly, args=job, name=job[0], daemon=True) for job in jobs]
    for thread in threads:
        thread.start()
    share = seconds
    for thread in threads:
        before = _now()
        thread.join(max(share, 0.0))
        share -= _now() - before
        if thread.is_alive():
            log.warning("%s does not answer; whether its message arrives is not known.", thread.name)


def _now() -> float:
    from nightferry.clients.clock import SystemClock

    return SystemClock().monotonic()


def _quietly(name: str, job: Callable[[], None]) -> None:
    try:
        job()
    except Exception as fault:  # its words could hold the webhook's address
        log.warning("%s could not be told: %s", name, type(fault).__name__)


def _jobs(context: Any, matter: Matter, link: str, *, again: bool) -> list[tuple[str, Callable[[], None]]]:
    title = f"{'Still open: may' if again else 'May'} {matter.release} come into {matter.environment}?"
    said, terms = len(matter.count.yes), matter.terms
    text = f"{said} of {terms.needed} said yes; without more it is declined at {terms.until}."
    jobs: list[tuple[str, Callable[[], None]]] = []
    addresses = addresses_of(matter.count.left, load_people(settings.load().people_file))
    if addresses and _found(MAIL):
        jobs.append((MAIL, lambda: _mail(context, addresses, title, text, link)))
    for conn_id, made in ((SLACK, slack_message), (TEAMS, teams_card)):
        if found := _found(conn_id):
            address, body = str(found.password or ""), made(title, text, link)
            jobs.append((conn_id, lambda address=address, body=body: _post(address, body)))  # type: ignore[misc]
    return jobs


def addresses_of(persons: Sequence[str], people: People) -> list[str]:
    """The first address of each person who has one."""
    spelled = ([one for one in people.users[name].mail if "@" in one] for name in persons if name in people.users)
    return [found[0] for found in spelled if found]


def slack_message(title: str, text: str, link: str) -> dict[str, Any]:
    """What Slack's incoming webhook takes."""
    return {"text": f"{title}\n{text}\n<{link}|Answer in Airflow>"}


def teams_card(title: str, text: str, link: str) -> dict[str, Any]:
    """What a Teams workflow takes: an Adaptive Card that opens the question."""
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            {"type": "TextBlock", "text": title, "weight": "Bolder", "wrap": True},
            {"type": "TextBlock", "text": text, "wrap": True},
        ],
        "actions": [{"type": "Action.OpenUrl", "title": "Answer in Airflow", "url": link}],
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _found(conn_id: str) -> Any:
    try:
        return BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return None


def _mail(context: Any, addresses: list[str], title: str, text: str, link: str) -> None:
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    page = f"<p>{html.escape(text)}</p><p><a href='{html.escape(link)}'>Answer in Airflow</a></p>"
    # Not called, but told to notify: a call would take what people wrote for templates.
    SmtpNotifier(to=addresses, subject=title, html_content=page, smtp_conn_id=MAIL).notify(context)


def _post(address: str, body: dict[str, Any]) -> None:
    import requests

    requests.post(address, json=body, timeout=TIMEOUT).raise_for_status()
