"""What a cluster's refusals mean: the one place that says which may pass and which need a person.

The API server says why it refuses in a status and a message; the controllers keep the message only, in the conditions
of what they could not make. Kubernetes writes the messages of refusals as `… is forbidden: …`, `… is invalid: …` and
`admission webhook … denied the request: …` (apimachinery, api/errors; apiserver, admission).
"""

from __future__ import annotations

from nightferry.clients.doors.cluster import ClusterAway, ClusterConflict, QuotaExceeded
from nightferry.entities.reason import Reason
from nightferry.errors import NightferryError, Permanent, Temporary

_REFUSALS = ("is forbidden:", "is invalid:", "denied the request", "denied request")


def cluster_fault(status: int, said: str, where: str, retry_after: float = 0.0) -> NightferryError:
    """What an answer of the API server means.

    Args:
        status: of HTTP; 0 for none.
        said: the server's message.
        where: what was asked for, as the subject of a sentence.
        retry_after: seconds that the server asked to be left alone.
    """
    if status in (400, 403, 422) or "denied the request" in said:
        return _refused(status, said, where)
    if status == 401:
        return Permanent(
            Reason.CLUSTER_DENIED, f"{where} is not allowed: {said} Check the credentials and the Role they carry."
        )
    if status == 404 and said.startswith("namespaces "):
        return Permanent(
            Reason.ROLLOUT_REFUSED, f"{where}: {said} Make the namespace, or correct it in the service file."
        )
    if status == 409:
        return ClusterConflict(Reason.CLUSTER_UNAVAILABLE, f"{where} met another change: {said}")
    return ClusterAway(Reason.CLUSTER_UNAVAILABLE, f"{where} failed with status {status}: {said}", retry_after)


def missing_kind(kind: str, where: str) -> Permanent:
    """What it means that a cluster does not know a kind that somebody has to install there.

    Args:
        where: what was asked for, as the subject of a sentence.
    """
    return Permanent(
        Reason.GATEWAY_MISSING,
        f"{where} cannot be done: the cluster knows no {kind}. `traffic: gateway` needs the Gateway API (version v1) "
        "and a gateway; install one there, or leave `traffic` out of the service file.",
    )


def pods_fault(said: str, where: str) -> NightferryError:
    """What a controller's word on why it could not make pods means.

    A webhook that times out, a conflict, a store that is slow: the controller goes on trying.
    """
    if any(refusal in said for refusal in _REFUSALS):
        return _refused(403, said, where)
    return ClusterAway(Reason.CLUSTER_UNAVAILABLE, f"{where}: {said}")


def _refused(status: int, said: str, where: str) -> NightferryError:
    if "exceeded quota" in said:
        return QuotaExceeded(Reason.ROLLOUT_REFUSED, f"The cluster refused {where}: {said}")
    if "status unknown for quota" in said:  # the quota is new, and what it is about not counted yet
        return Temporary(Reason.ROLLOUT_REFUSED, f"The cluster refused {where}: {said}")
    # Of those who ask, rights are missing when the server names them: `… is forbidden: User "x" cannot get …`. What
    # else is forbidden, admission forbids: Pod Security, limit ranges, policies.
    admission = "denied the request" in said or ("is forbidden:" in said and "is forbidden: User " not in said)
    if status == 403 and not admission:
        return Permanent(
            Reason.CLUSTER_DENIED, f"{where} is not allowed: {said} Check the credentials and the Role they carry."
        )
    return Permanent(Reason.ROLLOUT_REFUSED, f"The cluster refused {where}: {said}")
