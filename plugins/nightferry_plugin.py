"""The one file that Airflow loads from plugins/; the package beside it is listed in `.airflowignore`.

It imports the heavy provider modules once, in the processes that fork: a task then starts with them in memory (0.2 s
instead of about 4 s), and the DAG processor parses dags/ without paying for them again.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

from airflow.plugins_manager import AirflowPlugin

FORKING = ("scheduler", "dag-processor", "triggerer")
"""The components whose children run our code."""

PRELOADED = (
    "airflow.providers.cncf.kubernetes.operators.pod",
    "airflow.providers.docker.operators.docker",
    "airflow.providers.microsoft.azure.hooks.wasb",
    "airflow.dag_processing.dagbag",
    "airflow.sdk.execution_time.supervisor",
    "airflow.sdk.execution_time.task_runner",
    "azure.identity",
    "azure.storage.blob",
    "croniter",
    "kubernetes.client",
    "nightferry.clients.azure.ledger",
    "nightferry.clients.azure.models",
    "nightferry.clients.buildkit.builder",
    "nightferry.clients.registry.oci",
    "nightferry.hooks.buildkit",
    "nightferry.operators.image.blame",
    "nightferry.operators.image.build_image",
    "nightferry.operators.model.check_model",
    "nightferry.operators.decide",
    "nightferry.operators.model.fetch_model",
    "nightferry.operators.image.publish_image",
    "nightferry.operators.record",
    "nightferry.operators.pods.retire",
    "nightferry.operators.pods.roll_out",
    "nightferry.operators.image.test_image",
    "nightferry.operators.image.test_source",
    "nightferry.operators.watch",
    "nightferry.operators.watcher",
    "nightferry.steps.services.load_services",
    "yaml",
)


def preload(arguments: list[str]) -> bool:
    """Import what tasks need if this process is one that forks (`airflow scheduler …`); whether it did."""
    if arguments[1:2] and arguments[1] in FORKING:
        for module in PRELOADED:
            importlib.import_module(module)
        return True
    return False


preload(sys.argv)


def hooks(arguments: list[str]) -> list[dict[str, Any]]:
    """The webhooks' endpoints where this process is the API server's; no other one imports them."""
    if arguments[1:2] != ["api-server"]:
        return []
    app = importlib.import_module("nightferry.web.hooks.app").hooks_app()
    return [{"app": app, "url_prefix": "/nightferry/hooks", "name": "Nightferry webhooks"}]


class NightferryPlugin(AirflowPlugin):
    """Nightferry's place in Airflow."""

    name = "nightferry"
    fastapi_apps = hooks(sys.argv)
