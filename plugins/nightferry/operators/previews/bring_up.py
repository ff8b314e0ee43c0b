"""The task that brings a preview up, in a deployer's pod."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nightferry.entities.deployer_end import EXIT_PERMANENT, EXIT_TEMPORARY
from nightferry.entities.preview import ENDED
from nightferry.entities.service_spec import CLUSTER
from nightferry.errors import NightferryError, Permanent, Temporary
from nightferry.hooks.storage import STORAGE, StorageHook
from nightferry.manifests.trial import NAMESPACE
from nightferry.operators.failures import reported
from nightferry.operators.pods.deployer_pod import DeployerPodOperator
from nightferry.operators.run_facts import read_decision
from nightferry.steps.record.preview_record import preview_entries
from nightferry.steps.rollout.read_plan import pinned_spec

TROUBLE = "trouble"


class BringUpOperator(DeployerPodOperator):
    """Runs `deployer preview` for what was pinned; the deployer writes on the record what came of it."""

    template_fields: Sequence[str] = (*DeployerPodOperator.template_fields, "decision")

    def __init__(self, *, decision: str, storage_conn_id: str = STORAGE, **kwargs: Any) -> None:
        super().__init__(command="preview", cluster=CLUSTER, serves=NAMESPACE, labels={}, **kwargs)
        self.decision = decision
        self.storage_conn_id = storage_conn_id

    def execute(self, context: Any) -> None:
        """Run the pod, and on failure say why it failed, as the deployer wrote it on the record."""
        with reported(context):
            decision = read_decision(self.decision)
            self.kubernetes_conn_id = pinned_spec(decision).environments[-1].cluster
            self.labels = {**self.labels, "nightferry.dev/service": decision.service}
            self.arguments = ["preview", "--preview", str(decision.release)]
            super().execute(context)

    def explained(self, fault: Exception) -> NightferryError:
        """The failure as the deployer wrote it on the record."""
        if self.exit_code() not in (EXIT_PERMANENT, EXIT_TEMPORARY):
            return super().explained(fault)
        preview = str(read_decision(self.decision).release)
        ledger = StorageHook(self.storage_conn_id).ledger_store()
        steps = (ENDED, TROUBLE)
        told = [
            one for one in preview_entries(ledger, preview) if one.key.split("/")[1:2] in [[step] for step in steps]
        ]
        if not told:
            return super().explained(fault)
        kind = Permanent if self.exit_code() == EXIT_PERMANENT else Temporary
        return kind(told[-1].reason, told[-1].sentence)
