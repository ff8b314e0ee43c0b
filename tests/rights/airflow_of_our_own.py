"""An Airflow of the tests' own: the API server alone, with the project's airflow.cfg and DAGs, and a user for a role.

Nothing runs there, so every run that somebody starts stays queued.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import time
from pathlib import Path

import requests

from tests.fakes.a_release import SERVICE_FILE
from tests.rights.table import ROLES
from tests.serving_app.running import free_port

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 300.0
"""On a machine that does much else; by itself it takes about 20."""


class AirflowOfOurOwn:
    """One with the simple auth manager, or with FAB's."""

    def __init__(self, python: Path, folder: Path, manager: str) -> None:
        """Args: python: of an environment with Airflow. manager: "simple", which airflow.cfg names, or "fab"."""
        self.python, self.folder, self.manager = python, folder, manager
        self.passwords = {role: secrets.token_urlsafe(18) for role in ROLES}
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self._tokens: dict[str, str] = {}
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> AirflowOfOurOwn:
        """Prepare and start it. Raises AssertionError: it does not come up."""
        self._write()
        prepare = [str(self.python), str(ROOT / "tests" / "rights" / "prepare.py"), self.manager]
        with (self.folder / "prepare.log").open("wb") as log:
            words = json.dumps(self.passwords).encode()
            done = subprocess.run(prepare, input=words, env=self.environment, stdout=log, stderr=log, timeout=SECONDS)
        assert done.returncode == 0, (self.folder / "prepare.log").read_text(encoding="utf-8")[-3000:]
        command = [str(self.python), str(self.python.with_name("airflow")), "api-server", "--port", str(self.port)]
        with (self.folder / "server.log").open("wb") as log:
            self._server = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        self._await()
        return self

    def stop(self) -> None:
        """End it."""
        if self._server:
            self._server.terminate()
            try:
                self._server.wait(20)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()

    @property
    def environment(self) -> dict[str, str]:
        """What its processes are told."""
        bundle = "airflow.dag_processing.bundles.local.LocalDagBundle"
        folders = {"project": ROOT / "dags", "stand-ins": ROOT / "tests" / "rights" / "dags"}
        bundles = [{"name": name, "classpath": bundle, "kwargs": {"path": str(path)}} for name, path in folders.items()]
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SSL_CERT_FILE") if name in os.environ}
        return {
            **kept,
            "PYTHONPATH": f"{ROOT / 'plugins'}:{ROOT}",
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW_CONFIG": str(ROOT / "airflow.cfg"),
            **({"AIRFLOW__CORE__AUTH_MANAGER": "nightferry.auth.fab.FabAuthManager"} if self.manager == "fab" else {}),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{role}:{role}" for role in ROLES),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(self.folder / "users.json"),
            "AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.folder}/airflow.db",
            "AIRFLOW__API__BASE_URL": self.address,
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
            "NIGHTFERRY_ROOT": str(ROOT),
            "NIGHTFERRY_HOME": str(self.folder),
            "NIGHTFERRY_SERVICES": str(self.folder / "services"),
        }

    def _write(self) -> None:
        for folder in ("secrets", "services"):
            (self.folder / folder).mkdir()
        (self.folder / "services" / "digits.yaml").write_text(SERVICE_FILE, encoding="utf-8")
        fernet = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
        words = {"airflow-fernet": fernet, "airflow-jwt": secrets.token_urlsafe(64)}
        for name, word in {**words, "airflow-api": secrets.token_urlsafe(48)}.items():
            (self.folder / "secrets" / name).write_text(word, encoding="utf-8")
        for role, word in self.passwords.items():
            (self.folder / "secrets" / role).write_text(word, encoding="utf-8")
        (self.folder / "users.json").write_text(json.dumps(self.passwords), encoding="utf-8")

    def _await(self) -> None:
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                if requests.get(f"{self.address}/api/v2/version", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            over = self._server is None or self._server.poll() is not None or time.monotonic() > deadline
            assert not over, (self.folder / "server.log").read_text(encoding="utf-8")[-3000:]
            time.sleep(0.25)

    def call(self, role: str, method: str, path: str, body: object = None) -> requests.Response:
        """What a role's person is answered, over REST."""
        if role not in self._tokens:
            account = {"username": role, "password": self.passwords[role]}
            answer = requests.post(f"{self.address}/auth/token", json=account, timeout=30)
            assert answer.status_code == 201, answer.text
            self._tokens[role] = answer.json()["access_token"]
        headers = {"Authorization": f"Bearer {self._tokens[role]}"}
        return requests.request(method, self.address + path, json=body, headers=headers, timeout=30)
