"""The systems that tests/contract/test_model_repository.py is run on: one bench each.

A bench is a repository, a hand that changes what it holds behind its back, and the faults of what lies between. Those
of the real ones come from a door (tests/fakes/storage_door.py) between client and server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar, Protocol

from nightferry.clients.azure.listing import metadata_of
from nightferry.clients.doors.model_repository import ModelRepository
from nightferry.entities.model_version import parse_manifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

from tests.fakes.memory.memory_models import MemoryModels
from tests.fakes.storage_door import Door, Refusal

BENCHES = {"azure": "azure_bench", "s3": "s3_bench", "mlflow": "mlflow_bench"}
"""Name -> the fixture in tests/contract/conftest.py."""
PREFIX = "team/digits"


class Bench(Protocol):
    """What the suite does to a system."""

    repository: ModelRepository
    many: int
    """How many versions are thousands here: more than a page of the system's listing has."""
    few: int
    """The most requests that a second look at them may take."""
    sees_overwriting: bool
    """Whether a file that is overwritten while it is read is noticed, where what was read is all the same right."""
    prefixes: tuple[str, ...]
    """With every character that the system allows; `within` takes the repository there."""

    def put(self, name: str, content: bytes) -> None: ...
    def remove(self, name: str) -> None: ...
    def put_many(self, files: Mapping[str, bytes]) -> None:
        """model.json of many versions, as publishing them would have left it."""
        ...

    def within(self, prefix: str) -> None: ...
    def requests(self) -> int: ...
    def refuse(self, denied: bool) -> None: ...
    def slow(self, seconds: float) -> None: ...
    def cut_downloads(self, after: list[int]) -> None: ...
    def break_uploads(self) -> None: ...
    def lose_answers(self, count: int) -> None: ...
    def well(self) -> None: ...


class MemoryBench:
    """The fake. Nothing lies between, so of the faults it has those that its caller sees."""

    many, few, sees_overwriting = 1100, 0, True
    prefixes = ("anything",)

    def __init__(self) -> None:
        self.repository = MemoryModels()

    def put(self, name: str, content: bytes) -> None:
        self.repository.blobs[name] = content

    def remove(self, name: str) -> None:
        del self.repository.blobs[name]

    def put_many(self, files: Mapping[str, bytes]) -> None:
        self.repository.blobs |= files

    def within(self, prefix: str) -> None:
        self.repository.blobs.clear()

    def requests(self) -> int:
        return 0

    def refuse(self, denied: bool) -> None:
        self.repository.fault = (
            Permanent(Reason.STORAGE_DENIED, "No.") if denied else Temporary(Reason.STORAGE_UNAVAILABLE, "Not now.")
        )

    def slow(self, seconds: float) -> None: ...

    def cut_downloads(self, after: list[int]) -> None: ...

    def break_uploads(self) -> None:
        self.repository.breaks = True

    def lose_answers(self, count: int) -> None: ...

    def well(self) -> None:
        self.repository.breaks = False


class DoorBench:
    """A system behind a door."""

    sees_overwriting = True
    denied: ClassVar[Refusal]
    busy: ClassVar[Refusal]

    def __init__(
        self,
        door: Door,
        make: Callable[[str], ModelRepository],
        put: Callable[..., Any],
        remove: Callable[[str], Any],
    ) -> None:
        """`make`: the repository in a prefix, through the door; `put`, `remove`: by name, not through it."""
        self._door, self._make, self._put, self._remove = door, make, put, remove
        self.within(PREFIX)

    def put(self, name: str, content: bytes) -> None:
        self._put(f"{self._prefix}/{name}", content)

    def remove(self, name: str) -> None:
        self._remove(f"{self._prefix}/{name}")

    def put_many(self, files: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: self.put(*item), files.items()))

    def within(self, prefix: str) -> None:
        self._prefix, self.repository = prefix, self._make(prefix)

    def requests(self) -> int:
        return len(self._door.habits.asked)

    def refuse(self, denied: bool) -> None:
        self._door.habits.refusal = self.denied if denied else self.busy

    def slow(self, seconds: float) -> None:
        self._door.habits.pause = seconds

    def cut_downloads(self, after: list[int]) -> None:
        self._door.habits.cuts = list(after)

    def break_uploads(self) -> None:
        self._door.habits.cut_uploads = 1000

    def lose_answers(self, count: int) -> None:
        self._door.habits.drop_writes = count

    def well(self) -> None:
        self._door.habits.cut_uploads = 0


class AzureBench(DoorBench):
    """Blob storage, by Azurite. What a listing shows stands in the metadata that publishing writes."""

    def put_many(self, files: Mapping[str, bytes]) -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda item: self._described(*item), files.items()))

    def _described(self, name: str, content: bytes) -> None:
        self._put(f"{self._prefix}/{name}", content, metadata_of(parse_manifest(content), content))

    many, few = 1100, 1
    prefixes = ("team a/Gr\u00f6\u00dfe_v+2/100%&=#?~*", "!$'()+,;=@[]{}^`|<>\"", "\u6570\u5b57")
    denied = Refusal(
        403, {"x-ms-error-code": "AuthorizationFailure"}, b"<Error><Code>AuthorizationFailure</Code></Error>"
    )
    busy = Refusal(503, {"x-ms-error-code": "ServerBusy"}, b"<Error><Code>ServerBusy</Code></Error>")


class S3Bench(DoorBench):
    """S3, by versitygw."""

    many, few = 1100, 3  # two pages, and the index
    prefixes = (
        "team a/Gr\u00f6\u00dfe_v+2/100%&=#?~*",
        "!$'()+,;=@[]{}^`|<>\"",
        "\u6570\u5b57",
        "a!-_.*'()&$@=;:+ ,?b.",
    )
    denied = Refusal(403, {}, b"<Error><Code>AccessDenied</Code></Error>")
    busy = Refusal(503, {}, b"<Error><Code>SlowDown</Code></Error>")
