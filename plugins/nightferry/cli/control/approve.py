"""`nightferry approve`, `decline` and `approvals`: people's yes and no, given over Airflow with one's own login."""

from __future__ import annotations

import argparse

from nightferry import settings as settings_of
from nightferry.cli.arguments import Subparsers, command
from nightferry.cli.catalogue import HELP
from nightferry.cli.exit_codes import OK
from nightferry.cli.output import show_json, table
from nightferry.clients import connect
from nightferry.clients.airflow.api import AirflowApi
from nightferry.clients.airflow.questions import AirflowQuestions, OpenQuestion, Questions
from nightferry.entities.approvals.approval import approvals_in
from nightferry.entities.approvals.runs import PREFIX, begin_of, dag_of, service_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent
from nightferry.settings import Settings
from nightferry.steps.record.history import release_entries

APPROVE_EXAMPLES = """\
  nightferry approve digits-2026-11-21.1 --reason "numbers are fine"
  nightferry approvals digits                 what waits, for whom, and until when
"""
DECLINE_EXAMPLES = '  nightferry decline digits-2026-11-21.1 --reason "sevens are wrong"   final for this release\n'
LIST_EXAMPLES = "  nightferry approvals\n  nightferry approvals digits --json\n"
LONGEST = 500
"""Characters of a reason."""


def add_parsers(subparsers: Subparsers) -> None:
    """Add the three."""
    for name, run, examples in (("approve", approve, APPROVE_EXAMPLES), ("decline", decline, DECLINE_EXAMPLES)):
        add = command(subparsers, name, run, HELP[name], examples)
        add.add_argument("release", metavar="RELEASE", help="such as digits-2026-11-21.1")
        add.add_argument("--reason", metavar="TEXT", required=True, help="why; it goes on the record")
        add.add_argument("--environment", metavar="NAME", help="where it asks for more than one environment")
    add = command(subparsers, "approvals", list_, HELP["approvals"], LIST_EXAMPLES)
    add.add_argument("service", metavar="SERVICE", nargs="?", default="", help="of this service alone")


def approve(arguments: argparse.Namespace) -> int:
    """Say yes."""
    return _answer(arguments, yes=True)


def decline(arguments: argparse.Namespace) -> int:
    """Say no."""
    return _answer(arguments, yes=False)


def list_(arguments: argparse.Namespace) -> int:
    """List the open questions."""
    questions = AirflowQuestions(AirflowApi.connect(settings_of.load()))
    found = questions.open(dag_of(arguments.service) if arguments.service else "")
    found = [one for one in found if one.dag.startswith(PREFIX)]
    if arguments.json:
        show_json([_facts(one) for one in found])
    elif not found:
        print("Nothing waits for people" + (f" in {arguments.service}." if arguments.service else "."))
    else:
        table(("RUN", "WHO CAN ANSWER", "QUESTION"), [(one.run, ", ".join(one.asked), one.subject) for one in found])
        print('Everything about one: nightferry show RELEASE. Answer: nightferry approve RELEASE --reason "…"')
    return OK


def _answer(arguments: argparse.Namespace, *, yes: bool) -> int:
    settings = settings_of.load()
    if not arguments.reason.strip():
        raise Permanent(Reason.REQUEST_INVALID, "The reason is empty; say why, for those who will wonder.")
    if len(arguments.reason) > LONGEST:
        raise Permanent(Reason.REQUEST_INVALID, f"The reason is longer than {LONGEST} characters.")
    questions = AirflowQuestions(AirflowApi.connect(settings))
    question = find(questions, settings, arguments.release, arguments.environment or "")
    questions.answer(question, yes=yes, why=arguments.reason)
    said = "approved" if yes else "declined"
    if arguments.json:
        show_json({"release": arguments.release, "answer": said, "by": questions.user or None, **_facts(question)})
    else:
        who = questions.user or "You"
        print(f"{who} {said} {arguments.release}. Whether it counts is on the record in a moment:")
        print(f"  nightferry show {arguments.release}")
    return OK


def find(questions: Questions, settings: Settings, release: str, environment: str) -> OpenQuestion:
    """The open question about a release.

    Raises:
        Permanent: (release_unknown) that is no release's name; (not_waiting) nobody is asked about it: the sentence
            says what became of it, as far as the record can be read; (request_invalid) it asks for two environments.
    """
    try:
        service = service_of(release)
    except ValueError as fault:
        sentence = f"{release!r} is not the name of a release; they look like digits-2026-11-21.1."
        raise Permanent(Reason.RELEASE_UNKNOWN, sentence) from fault
    begin = begin_of(release) + (f"{environment}-" if environment else "")
    found = [one for one in questions.open(dag_of(service)) if one.run.startswith(begin)]
    if not found:
        raise Permanent(Reason.NOT_WAITING, f"Nobody is asked about {release} now. {_why(settings, release)}".strip())
    if len({one.run for one in found}) > 1:
        runs = ", ".join(sorted(one.run for one in found))
        raise Permanent(
            Reason.REQUEST_INVALID, f"{release} is asked about more than once ({runs}): --environment says which."
        )
    return found[0]


def _why(settings: Settings, release: str) -> str:
    """What became of the release, by the record, where this login may read that."""
    try:
        entries = release_entries(connect.ledger_store(settings), release)
    except NightferryError as fault:
        return fault.sentence if fault.reason == Reason.RELEASE_UNKNOWN else ""
    return became(entries)


def became(entries: list[LedgerEntry]) -> str:
    """The last word of the record on a release and people's answers to it."""
    told = [one for one in entries if one.kind in (Kind.RELEASE, Kind.WAITING, Kind.APPROVAL)]
    if not told:
        return "It does not wait: nightferry show says what it does."
    where = {str(one.data.get("environment")) for one in told if one.kind == Kind.APPROVAL}
    answers = [one for name in sorted(where) for one in approvals_in(entries, name) if one.counts]
    said = "; ".join(f"{one.person} {'approved' if one.yes else 'declined'}" for one in answers)
    return f"{told[-1].sentence}" + (f" Answers that count: {said}." if said else "")


def _facts(question: OpenQuestion) -> dict[str, object]:
    return {
        "run": question.run,
        "dag": question.dag,
        "task": question.task,
        "question": question.subject,
        "can_answer": list(question.asked),
    }
