"""Who may what: the table of docs/rights.md as data, and how each of its cells is tried."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

ROLES = ("viewer", "user", "op", "admin")
ALL, ASKS, OPERATES, ADMIN = ROLES, ROLES[1:], ROLES[2:], ROLES[3:]
NOBODY: tuple[str, ...] = ()
RELEASE = "/api/v2/dags/release_digits"
QUESTION = "/api/v2/dags/approve_digits/dagRuns/seeded/taskInstances"
YES = {"chosen_options": ["Approve"], "params_input": {}}
NEW = {"logical_date": None}
STORAGE: dict[str, dict[str, str]] = {
    "viewer": {"models": "read", "ledger": "read"},
    "user": {"models": "write", "ledger": "read"},
    "op": {"models": "write", "ledger": "write"},
    "admin": {"models": "write", "ledger": "write"},
}
"""What each role is given in the storage account."""
CLUSTER = {
    "viewer": "nightferry-airflow",
    "user": "nightferry-airflow",
    "op": "nightferry-deployer",
    "admin": "nightferry-deployer",
}
"""The ClusterRole that each role is given in the environments."""


def release_of(role: str, whose: str) -> str:
    """The release about which a role's person is asked (`listed`), or somebody else (`other`)."""
    return f"digits-2026-01-0{ROLES.index(role) + 1}.{1 if whose == 'listed' else 2}"


@dataclass(frozen=True)
class Call:
    """A request to Airflow; ROLE in it is the name of who asks."""

    method: str
    path: str
    body: Any = None

    def of(self, role: str) -> tuple[str, str, Any]:
        """The request of one role."""
        return self.method, self.path.replace("ROLE", role), json.loads(json.dumps(self.body).replace("ROLE", role))


@dataclass(frozen=True)
class Row:
    """One row of the table."""

    what: str
    decides: str
    """Which system does."""
    allowed: tuple[str, ...]
    calls: tuple[Call, ...] = ()
    """Over REST; each of them is a cell for itself."""
    commands: tuple[tuple[str, ...], ...] = ()
    """By `nightferry`; ROLE in a word is the name of who asks, HOLD and BAR what stands on the record, SOON a time,
    LISTED and OTHER a release about which he is asked, or somebody else."""
    container: Literal["", "models", "ledger"] = ""
    """Of the storage account: where the commands of this row need a right."""
    managers: tuple[str, ...] = field(default=("simple", "fab"))
    yes: str = "yes"


def start(dag: str, conf: dict[str, Any] | None = None) -> Call:
    """A new run of a DAG."""
    return Call("POST", f"/api/v2/dags/{dag}/dagRuns", {**NEW, "conf": conf or {}})


ROWS = (
    Row(
        "look at DAGs, runs, tasks and logs, and at what waits for people",
        "Airflow",
        ALL,
        (
            Call("GET", "/api/v2/dags?limit=5"),
            Call("GET", f"{RELEASE}/dagRuns/of-ROLE"),
            Call("GET", f"{RELEASE}/dagRuns/of-ROLE/taskInstances/decide"),
            Call("GET", "/api/v2/dags/~/dagRuns/~/hitlDetails"),
        ),
    ),
    Row(
        "ask for a release",
        "Airflow",
        ASKS,
        (start("release_digits"),),
        (("release", "digits", "--request-id", "asked-by-ROLE"),),
    ),
    Row(
        "ask for a preview, end one early",
        "Airflow",
        ASKS,
        (start("preview", {"service": "digits", "model": "v1"}), start("end_previews")),
        (("preview", "digits", "--model", "of-ROLE"),),
    ),
    Row(
        "approve or decline, being listed (`approvals:`)",
        "Airflow",
        OPERATES,
        (Call("PATCH", f"{QUESTION}/listed_ROLE/-1/hitlDetails", YES),),
        (("approve", "LISTED", "--reason", "a test"),),
        yes="where listed",
    ),
    Row(
        "approve or decline, not being listed",
        "Airflow",
        NOBODY,
        (Call("PATCH", f"{QUESTION}/other_ROLE/-1/hitlDetails", YES),),
        (("approve", "OTHER", "--reason", "a test"), ("decline", "OTHER", "--reason", "a test")),
    ),
    Row(
        "roll back from Airflow's pages (the DAG `roll_back`)",
        "Airflow",
        OPERATES,
        (start("roll_back", {"service": "digits", "reason": "a test"}),),
    ),
    Row(
        "start what the schedule starts (`drift`, `rehearsal`, `retire_releases`, `watch`), or a run of `approve_…`",
        "Airflow",
        OPERATES,
        (*(start(dag) for dag in ("drift", "rehearsal", "retire_releases", "watch")), start("approve_digits")),
    ),
    Row(
        "pause a DAG",
        "Airflow",
        OPERATES,
        (Call("PATCH", RELEASE, {"is_paused": False}),),
    ),
    Row(
        "clear tasks, mark a task or a run, change an XCom",
        "Airflow",
        OPERATES,
        (
            Call("PATCH", f"{RELEASE}/dagRuns/of-ROLE/taskInstances/decide", {"new_state": "success"}),
            Call(
                "POST",
                f"{RELEASE}/clearTaskInstances",
                {"dry_run": False, "dag_run_id": "of-ROLE", "task_ids": ["decide"], "only_failed": False},
            ),
            Call("POST", f"{RELEASE}/dagRuns/of-ROLE/taskInstances/decide/xcomEntries", {"key": "x", "value": 1}),
            Call("PATCH", f"{RELEASE}/dagRuns/of-ROLE", {"state": "failed"}),
        ),
    ),
    Row(
        "delete a run",
        "Airflow",
        OPERATES,
        (Call("DELETE", f"{RELEASE}/dagRuns/gone-ROLE"),),
    ),
    Row(
        "see or change connections and variables, change pools",
        "Airflow",
        OPERATES,
        (
            Call("GET", "/api/v2/connections"),
            Call("POST", "/api/v2/connections", {"connection_id": "of-ROLE", "conn_type": "http"}),
            Call("POST", "/api/v2/variables", {"key": "of-ROLE", "value": "1"}),
            Call("POST", "/api/v2/pools", {"name": "of-ROLE", "slots": 1, "include_deferred": False}),
        ),
    ),
    Row(
        "see and change Airflow's users and roles (FAB)",
        "Airflow",
        ADMIN,
        (Call("GET", "/auth/fab/v1/users"), Call("GET", "/auth/fab/v1/roles")),
        managers=("fab",),
    ),
    Row(
        "read the record: `history`, `show`, `ledger verify`, `quarantine list`",
        "storage",
        ALL,
        commands=(("history", "rights"), ("ledger", "verify", "rights"), ("quarantine", "list", "rights")),
        container="ledger",
    ),
    Row(
        "list a service's models: `models list`",
        "storage",
        ALL,
        commands=(("models", "list", "rights"),),
        container="models",
    ),
    Row(
        "publish a model: `models publish`",
        "storage",
        ASKS,
        commands=(("models", "publish", "rights", "ROLE.bin", "--version", "of-ROLE"),),
        container="models",
    ),
    Row(
        "`hold`, `resume`, `quarantine add`, `quarantine lift`",
        "storage",
        OPERATES,
        commands=(
            ("hold", "rights", "--reason", "a test", "--by", "ROLE"),
            ("resume", "rights", "--hold", "HOLD", "--reason", "a test", "--by", "ROLE"),
            ("quarantine", "add", "rights", "--model", "seen-ROLE", "--reason", "a test", "--by", "ROLE"),
            ("quarantine", "lift", "rights", "BAR", "--reason", "a test", "--by", "ROLE"),
        ),
        container="ledger",
    ),
    Row(
        "ask for or confirm an exception, being named in the calendar: `calendar except`",
        "storage",
        OPERATES,
        commands=(("calendar", "except", "rights", "--until", "SOON", "--reason", "a test", "--by", "ROLE"),),
        container="ledger",
        yes="where named",
    ),
    Row(
        "ask where a service is and what runs: `url`, `rollback --dry-run`",
        "cluster",
        ALL,
        commands=(("url", "SERVICE"), ("rollback", "SERVICE", "--dry-run")),
    ),
    Row(
        "`rollback`, with Airflow down if need be",
        "cluster",
        OPERATES,
        commands=(("rollback", "SERVICE", "--reason", "a test", "--by", "ROLE"),),
    ),
)


def cells(decides: str) -> list[tuple[Row, str]]:
    """Every cell that one system decides: row and role."""
    return [(row, role) for row in ROWS if row.decides == decides for role in ROLES]


def shown(cell: tuple[Row, str]) -> str:
    """A cell's name among the tests'."""
    row, role = cell
    words = "".join(letter if letter.isalnum() else " " for letter in row.what).split()
    return "-".join([role, *words[:6]])
