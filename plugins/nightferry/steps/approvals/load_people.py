"""Read `dags/people.yaml`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from nightferry.entities.approvals.people import People
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.strict_yaml import YamlFault, read_yaml


def load_people(file: Path) -> People:
    """Who is who; nobody where there is no such file.

    Raises:
        Permanent: (people_invalid) it cannot be read, or something in it is wrong.
    """
    if not file.exists():
        return People()
    try:
        return People.model_validate(read_yaml(file, "groups", empty=True))
    except YamlFault as fault:
        raise Permanent(Reason.PEOPLE_INVALID, f"{file}: {fault}.") from fault
    except ValidationError as fault:
        raise Permanent(Reason.PEOPLE_INVALID, f"{file}: {'; '.join(problems(fault))}.") from fault
