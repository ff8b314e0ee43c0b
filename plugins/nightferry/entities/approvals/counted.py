"""What people's answers come to. Asked where a stage asks people, before a rollout, by the deployer and by the command:
all of them get the same answer from the record, whatever state Airflow's tasks are in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nightferry.entities.approvals.approval import Answer, Approval
from nightferry.entities.decision import Decision
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_file.approvals import Approvals

PARTS = {"model": "the model", "source": "the commit"}
"""What has an author, for people."""


@dataclass(frozen=True)
class Terms:
    """What a yes has to be, as it was decided: whatever is edited later changes nothing."""

    image: str
    """`repo@sha256:…`: a yes to another one is none."""
    needed: int
    approvers: tuple[str, ...]
    """The Airflow users whom the service file's groups meant."""
    requester: str
    """Who asked for the release; nobody where the schedule did."""
    authors: Mapping[str, str] = field(default_factory=dict)
    """Part -> who made it, as it says itself; only where authors do not count."""
    author_users: Mapping[str, str] = field(default_factory=dict)
    """Part -> that author's name in Airflow, as far as dags/people.yaml says it."""
    senders: tuple[str, ...] = ()
    """Who had it go on when it was published: that is asking for the release, too."""
    until: str | None = None
    """When the time is over (UTC, RFC 3339); None: nobody was asked yet."""

    @classmethod
    def of(cls, decision: Decision, environment: str, image: str, entries: Sequence[LedgerEntry]) -> Terms | None:
        """Those of a decision in an environment, with the release's entries so far; None where nobody is asked
        there."""
        wanted = _approvals(decision, environment)
        if wanted is None:
            return None
        barred = wanted.not_ == "authors"
        return cls(
            image=image,
            needed=wanted.needed,
            approvers=tuple(decision.approvers.get(environment, ())),
            requester=decision.actor,
            authors=dict(decision.authors) if barred else {},
            author_users=dict(decision.author_users) if barred else {},
            senders=_senders(entries),
            until=asked_until(entries, environment),
        )

    @property
    def blocked(self) -> str:
        """Why nobody's yes can count at all; empty where it can."""
        for part, author in self.authors.items():
            if part not in self.author_users:
                who = author or "nobody that is named"
                return (
                    f"The author of {PARTS.get(part, part)} is {who}, whom dags/people.yaml does not know, so that "
                    "nobody can say whether the author approves: add that spelling to the person's `mail:` under "
                    "`users:`, and release anew."
                )
        able = self.able
        if len(able) < self.needed:
            names = ", ".join(able) or "nobody"
            return (
                f"{self.needed} have to approve and {len(able)} can ({names}): who asked for the release, and authors "
                "where the service file says so, do not count. Add people to `from:` or to its groups in "
                "dags/people.yaml, and release anew."
            )
        return ""

    @property
    def able(self) -> tuple[str, ...]:
        """Whose answer can count at all."""
        return tuple(one for one in self.approvers if not self.why_not(one))

    def why_not(self, person: str) -> str:
        """Why a person's answer cannot count, whatever it is; empty where it can."""
        if person not in self.approvers:
            named = ", ".join(self.approvers) or "nobody"
            return f"{person} is not among those who were named when this was decided ({named})"
        if person == self.requester or person in self.senders:
            return f"{person} asked for this release"
        for part, user in self.author_users.items():
            if person == user:
                return f"{person} is the author of {PARTS.get(part, part)}"
        return ""


@dataclass(frozen=True)
class Count:
    """What the answers come to."""

    yes: tuple[str, ...]
    """Who approved and counts, in order, each once."""
    no: Approval | None
    """The answer that declined; it is final."""
    left: tuple[str, ...]
    """Who could still answer."""
    missing: int
    """How many more have to approve."""

    @property
    def approved(self) -> bool:
        """Whether the image may come in."""
        return self.missing == 0 and self.no is None


def counted(answers: Iterable[Approval], terms: Terms) -> Count:
    """Weigh answers, oldest first; what does not count, or did not when it came, is as if it were not there."""
    yes: list[str] = []
    no: Approval | None = None
    for answer in answers:
        if not answer.counts or no or refusal(answer, terms, yes):
            continue
        if answer.yes:
            yes.append(answer.person)
        else:
            no = answer
    left = tuple(one for one in terms.able if one not in yes) if no is None else ()
    return Count(tuple(yes), no, left, max(terms.needed - len(yes), 0))


def refusal(answer: Answer, terms: Terms, yes: Sequence[str]) -> str:
    """Why an answer does not count after those who said yes; empty where it does."""
    if answer.image != terms.image:
        return f"it was given to {answer.image}, and this is {terms.image}"
    if why := terms.blocked or terms.why_not(answer.person):
        return why
    if answer.person in yes:
        return f"{answer.person} answered before"
    if terms.until and dt.datetime.fromisoformat(answer.at) > dt.datetime.fromisoformat(terms.until):
        return f"it came at {answer.at}, and the time was over at {terms.until}"
    return ""


def asked_until(entries: Iterable[LedgerEntry], environment: str) -> str | None:
    """When the time is over in which people may answer: from the first time that they were asked; None: they were
    not."""
    for entry in entries:
        asks = entry.kind == Kind.WAITING and entry.reason == Reason.AWAITS_APPROVAL
        if asks and entry.data.get("environment") == environment and entry.data.get("until"):
            return str(entry.data["until"])
    return None


def _senders(entries: Iterable[LedgerEntry]) -> tuple[str, ...]:
    """Who had the release go on when no more than its image had been asked for."""
    found: dict[str, None] = {}
    kept = ""
    for entry in entries:
        if entry.kind == Kind.WAITING:
            kept = entry.reason
        elif entry.reason == Reason.CONTINUED and kept == Reason.PUBLISHED:
            found[entry.actor] = None
    return tuple(found)


def _approvals(decision: Decision, environment: str) -> Approvals | None:
    spec = decision.service_spec
    return spec.environment(environment).approvals if spec and environment in decision.environments else None
