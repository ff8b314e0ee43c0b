"""Pin, with a decision, who may approve it and who made what it is about: what is edited later helps nobody."""

from __future__ import annotations

from typing import Any

from nightferry.entities.approvals.people import People
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import STOCK, ServiceSpec
from nightferry.errors import Permanent
from nightferry.steps.deciding.pin import Pinned


def name_people(spec: ServiceSpec, pinned: Pinned, people: People) -> dict[str, Any]:
    """`approvers`, `authors` and `author_users` of a decision; empty where the service file asks nobody.

    Raises:
        Permanent: (people_invalid) the service file names a group or a user that is not in dags/people.yaml.
    """
    asking = {one.name: one.approvals for one in spec.environments if one.approvals}
    if not asking:
        return {}
    approvers: dict[str, tuple[str, ...]] = {}
    for environment, wanted in asking.items():
        try:
            approvers[environment] = people.meant_by(wanted.from_)
        except KeyError as fault:
            raise Permanent(
                Reason.PEOPLE_INVALID,
                f"The service file of {spec.service} asks {fault.args[0]} to approve for {environment}, which is "
                "neither a group nor a user in dags/people.yaml: add it there, or correct the service file.",
            ) from fault
    source = pinned.candidate.source
    authors = {"model": pinned.model_author}
    if source.repository != STOCK:  # the installation's own service is nobody's commit
        authors["source"] = source.author
    users = {part: people.user_of(author) for part, author in authors.items()}
    return {
        "approvers": approvers,
        "authors": authors,
        "author_users": {part: user for part, user in users.items() if user},
    }
