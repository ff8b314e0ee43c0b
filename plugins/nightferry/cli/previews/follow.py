"""Follow the run that makes a preview, as that of a release is followed."""

from __future__ import annotations

from collections.abc import Sequence

from nightferry.cli.releasing.follow import Findings, Follower, StepProgress, step_progress
from nightferry.clients.airflow.api import TaskState
from nightferry.entities.fact_key import step_of
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.preview import ENDED, PREVIEW, UP
from nightferry.entities.reason import Reason
from nightferry.entities.release_steps import IMAGE_STEPS, PUBLISH_IMAGE

PIN, BRING_UP = "pin", "bring_up"
STEPS = (PIN, *(step for step in IMAGE_STEPS if step != PUBLISH_IMAGE), BRING_UP)
_STEP_OF = {UP: BRING_UP, ENDED: BRING_UP}


class PreviewFindings(Findings):
    """The ledger's entries about the preview that a run makes."""

    def _key_of(self, run: str) -> str:
        return f"preview:run:{run}"

    @property
    def preview(self) -> str | None:
        """Its name; None before it is pinned."""
        first = next((one for one in self.entries if one.reason == Reason.PREVIEWING), None)
        return str(first.data[PREVIEW]) if first else None

    @property
    def closed(self) -> bool:
        """Whether no more is to be expected of the run."""
        last = self.entries[-1] if self.entries else None
        return last is not None and (last.key.endswith((f"/{UP}", f"/{ENDED}")) or self.preview is None)

    def _decides(self, entry: LedgerEntry) -> bool:
        return entry.kind == Kind.PREVIEW and (entry.key == self._key or entry.key.startswith(f"{self._key}/"))

    def _take(self, entry: LedgerEntry) -> None:
        mine = entry.kind == Kind.PREVIEW and self.preview and entry.data.get(PREVIEW) == self.preview
        if self._decides(entry) or mine:
            self.entries.append(entry)


class PreviewFollower(Follower):
    """Follows the run of a preview to the end of its making."""

    def _progress(self, tasks: Sequence[TaskState]) -> tuple[StepProgress, ...]:
        of_airflow = {task.task: task for task in tasks}
        found: dict[str, LedgerEntry] = {}
        for entry in self.findings.entries:
            step = step_of(entry.key)
            found[PIN if self.findings._decides(entry) else _STEP_OF.get(step, step)] = entry
        return tuple(step_progress(name, of_airflow.get(name), found.get(name)) for name in STEPS)
