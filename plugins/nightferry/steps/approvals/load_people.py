"""Read `dags/people.yaml`."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from nightferry.entities.approvals.people import People
from nightferry.entities.frozen import problems
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.services.load_services import LoadedServices, ServiceProblem
from nightferry.steps.services.strict_yaml import YamlFault, read_yaml


def unnamed(services: LoadedServices, file: Path) -> list[ServiceProblem]:
    """The services that ask people whom the file does not have, or all that ask where the file itself is wrong."""
    found = []
    for name, (spec, path) in services.specs.items():
        asked = [who for one in spec.environments if one.approvals for who in one.approvals.from_]
        try:
            if asked:
                load_people(file).meant_by(asked)
        except KeyError as fault:
            sentence = f"{path}: approvals.from: {fault.args[0]} is neither a group nor a user in {file}."
            found.append(ServiceProblem(path, Reason.PEOPLE_INVALID, sentence, name))
        except Permanent as fault:
            found.append(ServiceProblem(path, Reason.PEOPLE_INVALID, fault.sentence, name))
    return found


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
