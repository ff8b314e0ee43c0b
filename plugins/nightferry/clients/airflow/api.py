"""The door to Airflow's REST API: start a release's run and watch it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary
from nightferry.settings import Settings

if TYPE_CHECKING:
    import requests

TIMEOUT = (5, 30)
"""Seconds to connect, and for an answer."""
DEPLOYER_POOL = "nightferry_deployers"
"""Airflow's pool for the tasks that run a deployer pod: its slots bound how many run at once."""
BUILDER_POOL = "nightferry_builders"
"""Airflow's pool for the tasks that build an image, and that try it on Airflow's own machine."""
POOLS = {
    DEPLOYER_POOL: "How many deployer pods of Nightferry run at once.",
    BUILDER_POOL: "How many images Nightferry builds or tries at once.",
}
ENDED = frozenset({"success", "failed"})
"""The states in which a run stays as it is."""


@dataclass(frozen=True)
class Run:
    """A DAG run."""

    id: str
    state: str
    """queued, running, success or failed."""

    @property
    def ended(self) -> bool:
        """Whether the state is final."""
        return self.state in ENDED


@dataclass(frozen=True)
class TaskState:
    """One task of a run."""

    task: str
    state: str | None
    """Airflow's word; None before it is scheduled."""
    seconds: float | None
    """How long its last try took, or takes so far; None before it started."""
    tries: int


class Airflow(Protocol):
    """Airflow, as far as a release needs it. Every method raises
    Permanent (airflow_denied) and Temporary (airflow_unavailable)."""

    @property
    def address(self) -> str:
        """The address of Airflow's pages."""
        ...

    def paused(self, dag: str) -> bool | None:
        """Whether the DAG is paused; None while Airflow does not know such a DAG."""
        ...

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        """Start a run of that id; False when there is one already.

        Raises:
            Permanent: (request_invalid) a parameter is not as the DAG wants it.
        """
        ...

    def run(self, dag: str, run: str) -> Run | None:
        """The run; None when there is none."""
        ...

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """The tasks of a run."""
        ...


class AirflowApi:
    """Airflow over HTTP, with a token got for a user and a password, or one that a file holds."""

    def __init__(self, address: str, user: str, password: str, token_file: Path | None = None) -> None:
        """Args: token_file: holds a token, which is used instead of user and password; read anew once it is refused."""
        self._address = address.rstrip("/")
        self._user = user
        self._password = password
        self._token_file = token_file
        self._who = f"the token in {token_file}" if token_file else f"the user {user}"
        self._session: requests.Session | None = None

    @classmethod
    def connect(cls, settings: Settings) -> AirflowApi:
        """Airflow as the settings name it; touches no network.

        Raises:
            Permanent: (setting_missing, airflow_denied: the file with token or password cannot be read)
        """
        address = settings.require("AIRFLOW_URL")
        if settings.airflow_token_file:
            return cls(address, "", "", settings.airflow_token_file)
        user, file = settings.require("AIRFLOW_USER"), Path(settings.require("AIRFLOW_PASSWORD_FILE"))
        return cls(address, user, _secret(file, "password"))

    @property
    def address(self) -> str:
        """The address of Airflow's pages."""
        return self._address

    @property
    def user(self) -> str:
        """Whose login this is; empty where it is a token's."""
        return self._user

    def paused(self, dag: str) -> bool | None:
        """Whether the DAG is paused; None while Airflow does not know such a DAG."""
        answer = self.call("GET", f"/api/v2/dags/{quote(dag)}", accept=(404,))
        # Airflow keeps the row of a DAG whose file is gone; it starts no run of it until the DAG is parsed again.
        if answer.status_code == 404 or answer.json()["is_stale"]:
            return None
        return bool(answer.json()["is_paused"])

    def trigger(self, dag: str, run: str, conf: Mapping[str, Any], note: str = "") -> bool:
        """Start a run of that id; False when there is one already."""
        # Without a logical date a run is nobody's slot: any number of them can stand beside the nightly ones.
        body = {"dag_run_id": run, "logical_date": None, "conf": dict(conf), "note": note or None}
        answer = self.call("POST", f"/api/v2/dags/{quote(dag)}/dagRuns", body, accept=(400, 404, 409, 422))
        if answer.status_code == 404:
            raise Temporary(Reason.AIRFLOW_UNAVAILABLE, f"Airflow has no DAG {dag} yet.")
        if answer.status_code in (400, 422):
            raise Permanent(Reason.REQUEST_INVALID, f"Airflow refuses the run's parameters: {detail(answer)}")
        return answer.status_code != 409

    def run(self, dag: str, run: str) -> Run | None:
        """The run; None when there is none."""
        answer = self.call("GET", f"/api/v2/dags/{quote(dag)}/dagRuns/{quote(run, safe='')}", accept=(404,))
        return None if answer.status_code == 404 else Run(run, str(answer.json()["state"]))

    def tasks(self, dag: str, run: str) -> list[TaskState]:
        """The tasks of a run."""
        path = f"/api/v2/dags/{quote(dag)}/dagRuns/{quote(run, safe='')}/taskInstances?limit=100"
        now = dt.datetime.now(dt.UTC)
        return [_task_state(found, now) for found in self.call("GET", path).json()["task_instances"]]

    def pool(self, name: str) -> int | None:
        """How many slots a pool has; None where there is none."""
        answer = self.call("GET", _pool(name), accept=(404,))
        return None if answer.status_code == 404 else int(answer.json()["slots"])

    def set_pool(self, name: str, slots: int) -> None:
        """Make one of POOLS, or give it that many slots. Raises as the others."""
        found = self.pool(name)
        body = {"slots": slots, "description": POOLS[name], "include_deferred": False}
        if found is None:
            self.call("POST", "/api/v2/pools", {"name": name, **body}, accept=(409,))
        elif found != slots:
            self.call("PATCH", _pool(name), {"pool": name, **body})

    def call(self, method: str, path: str, body: Any = None, accept: tuple[int, ...] = ()) -> requests.Response:
        """The answer to a request of the API; one whose status is in `accept` is the caller's. Raises as the others."""
        answer = self._send(method, path, body)
        if answer.status_code == 401:  # The token has run out, or Airflow was set up anew.
            self._session = None
            answer = self._send(method, path, body)
        if answer.status_code in (401, 403) and answer.status_code not in accept:
            what = f"{self._who} may not {method} {path}"
            if self._token_file and answer.status_code == 401:
                what = f"{self._who} has run out, or is none; put a new one there"
            raise Permanent(Reason.AIRFLOW_DENIED, f"Airflow at {self._address} refuses: {what}.")
        if not answer.ok and answer.status_code not in accept:
            raise self._unavailable(f"it answers {answer.status_code} to {method} {path}: {detail(answer)}")
        return answer

    def _send(self, method: str, path: str, body: Any) -> requests.Response:
        import requests

        try:
            session = self._session = self._session or self._log_in()
            return session.request(method, self._address + path, json=body, timeout=TIMEOUT)
        except requests.RequestException as fault:
            raise self._unavailable(f"{type(fault).__name__}") from fault

    def _log_in(self) -> requests.Session:
        import requests

        session = requests.Session()
        # Airflow is named by a setting; a proxy of the environment has no part in it.
        session.trust_env = False
        if self._token_file:
            session.headers["Authorization"] = f"Bearer {_secret(self._token_file, 'token')}"
            return session
        account = {"username": self._user, "password": self._password}
        answer = session.post(f"{self._address}/auth/token", json=account, timeout=TIMEOUT)
        if answer.status_code in (400, 401, 403, 422):
            raise Permanent(
                Reason.AIRFLOW_DENIED,
                f"Airflow at {self._address} does not accept the password of the user {self._user}: "
                "check NIGHTFERRY_AIRFLOW_USER and NIGHTFERRY_AIRFLOW_PASSWORD_FILE.",
            )
        if not answer.ok:
            raise self._unavailable(f"it answers {answer.status_code} to a login")
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return session

    def _unavailable(self, what: str) -> Temporary:
        sentence = f"Airflow at {self._address} cannot be used: {what}; `nightferry status` shows the sandbox's."
        return Temporary(Reason.AIRFLOW_UNAVAILABLE, sentence)


def _secret(file: Path, what: str) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as fault:
        why = getattr(fault, "strerror", None) or "it is not UTF-8 text"
        sentence = f"The file with Airflow's {what} cannot be read: {file}: {why}."
        raise Permanent(Reason.AIRFLOW_DENIED, sentence) from fault
    if what == "token" and (not secret.isascii() or not secret.isprintable() or " " in secret or not secret):
        raise Permanent(Reason.AIRFLOW_DENIED, f"{file} should hold one token of Airflow's, and nothing else.")
    return secret


def _pool(name: str) -> str:
    return f"/api/v2/pools/{quote(name, safe='')}"


def _task_state(found: Mapping[str, Any], now: dt.datetime) -> TaskState:
    seconds = found.get("duration")
    if seconds is None and found.get("start_date") and not found.get("end_date"):
        seconds = (now - dt.datetime.fromisoformat(found["start_date"])).total_seconds()
    return TaskState(found["task_id"], found.get("state"), seconds, int(found.get("try_number") or 0))


def detail(answer: requests.Response) -> str:
    """What Airflow says about a refusal."""
    try:
        said = answer.json().get("detail", "")
    except (ValueError, AttributeError):
        said = answer.text[:200]
    return " ".join(str(said).split())[:500]
