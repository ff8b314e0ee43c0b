"""Who is who: groups of people, and by which names and addresses git and models know them. It is `dags/people.yaml`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, StringConstraints, model_validator

from nightferry.entities.frozen import Frozen
from nightferry.entities.service_file.approvals import Who

Spelling = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_ADDRESS = re.compile(r"^(?P<name>[^<>]*)<(?P<mail>[^<>]+)>$")


class Person(Frozen):
    """One person, as Airflow knows them."""

    mail: tuple[Spelling, ...] = Field(default=(), max_length=20)
    """How git's commits and models name them: addresses, and names where one says no address."""
    id: Annotated[str, StringConstraints(max_length=80)] = ""
    """What Airflow's auth manager calls them where that is not the user's name: FAB has numbers."""


class People(Frozen):
    """The whole file."""

    groups: dict[Who, tuple[Who, ...]] = Field(default_factory=dict)
    """By name, the Airflow users in it."""
    users: dict[Who, Person] = Field(default_factory=dict)
    """By their names in Airflow."""

    @model_validator(mode="after")
    def _sound(self) -> People:
        for group, members in self.groups.items():
            if group in self.users:
                raise ValueError(f"{group} is a group and a user; call one of them otherwise")
            for unknown in sorted(set(members) - set(self.users)):
                raise ValueError(f"{unknown}, of the group {group}, is not under `users:`")
        known: dict[str, str] = {}
        for user, person in self.users.items():
            for spelling in (user, *person.mail):
                other = known.setdefault(_plain(spelling), user)
                if other != user:
                    raise ValueError(f"{spelling} is given to {other} and to {user}; one of them it is")
        return self

    def meant_by(self, names: Sequence[str]) -> tuple[str, ...]:
        """The users that names of groups and of users mean, each once, in the names' order.

        Raises:
            KeyError: a name is neither; it is the error's only argument.
        """
        found: dict[str, None] = {}
        for name in names:
            if name not in self.groups and name not in self.users:
                raise KeyError(name)
            found.update(dict.fromkeys(self.groups.get(name, (name,))))
        return tuple(found)

    def user_of(self, author: str) -> str | None:
        """The user whom `Ana Lima <ana@example.org>`, the address or the name alone means; None: nobody says so."""
        spelled = _ADDRESS.match(author.strip())
        wanted = {_plain(author)} | ({_plain(spelled["mail"])} if spelled else set())
        for user, person in self.users.items():
            if wanted & {_plain(spelling) for spelling in (user, *person.mail)}:
                return user
        return None

    def id_of(self, user: str) -> str:
        """What the auth manager calls a user."""
        person = self.users.get(user)
        return person.id if person and person.id else user


def _plain(spelling: str) -> str:
    return " ".join(spelling.split()).casefold()
