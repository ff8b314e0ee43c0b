"""The rule that Airflow's own roles do not have: who may start a release may not therefore roll one back."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails

from nightferry.entities.dag_names import is_asked, is_ours


class ReleaseRights:
    """In front of one of Airflow's auth managers: whoever may start runs starts, of Nightferry's DAGs, those that ask
    for a release or a preview. All else (other DAGs' runs, answers, marks, clearing, pausing, XComs) is an operator's.

    An operator is who may edit Airflow's pools: that needs no role of another name, in any auth manager. Nothing is
    allowed that the auth manager behind would refuse, and DAGs of others are left to it.
    """

    def is_authorized_dag(
        self,
        *,
        method: Any,
        user: Any,
        access_entity: DagAccessEntity | None = None,
        details: DagDetails | None = None,
    ) -> bool:
        """Whether a user may do it."""
        asked: dict[str, Any] = {"method": method, "user": user, "access_entity": access_entity, "details": details}
        if not super().is_authorized_dag(**asked):  # type: ignore[misc]
            return False
        dag = details.id if details else None
        if method == "GET" or dag is None or not is_ours(dag):
            return True  # without a DAG it is asked again for each one
        asks = is_asked(dag) and (method, access_entity) == ("POST", DagAccessEntity.RUN)
        return asks or self._operates(user)

    def batch_is_authorized_dag(self, requests: Any, *, user: Any) -> bool:
        """Whether a user may do all of it."""
        return all(
            self.is_authorized_dag(
                method=one["method"], access_entity=one.get("access_entity"), details=one.get("details"), user=user
            )
            for one in requests
        )

    def get_authorized_dag_ids(self, *, user: Any, method: Any = "GET", **more: Any) -> set[str]:
        """The DAGs with which a user may do it: what changes many at once keeps to these."""
        found: set[str] = super().get_authorized_dag_ids(user=user, method=method, **more)  # type: ignore[misc]
        if method == "GET" or self._operates(user):
            return found
        return {dag for dag in found if not is_ours(dag)}

    def _operates(self, user: Any) -> bool:
        return bool(self.is_authorized_pool(method="PUT", user=user))  # type: ignore[attr-defined]
