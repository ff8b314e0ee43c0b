"""The service that a task works for: known when its DAG is parsed, or named by what was pinned."""

from __future__ import annotations

from nightferry.entities.decision import Decision
from nightferry.entities.service_spec import ServiceSpec
from nightferry.steps.rollout.read_plan import pinned_spec


class OfService:
    """One DAG for each service gives its tasks the service; in a DAG for all of them the decision does."""

    _spec: ServiceSpec | None = None

    @property
    def spec(self) -> ServiceSpec:
        """The service, once the decision was read."""
        if self._spec is None:
            raise ValueError("neither the DAG nor a decision has named the service")
        return self._spec

    def serve(self, decision: Decision) -> None:
        """Take the service of the decision where the DAG names none.

        Raises:
            Permanent: (decision_outdated) the decision pins no service file.
        """
        if self._spec is None:
            self._spec = pinned_spec(decision)
