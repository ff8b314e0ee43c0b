"""What the record says of a service's images: the tags and digests that it knows, and when each was last asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import ValidationError

from nightferry.entities.candidate import Candidate
from nightferry.entities.fact_key import ROLLBACK, WITHDRAWAL, FactKey, of_environment
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.ledger_entry import Kind, LedgerEntry
from nightferry.entities.reason import Reason
from nightferry.entities.service_spec import CLUSTER
from nightferry.entities.state.service_state import LAST
from nightferry.steps.record.ledger import Chain

_LEFT = (of_environment(LAST, WITHDRAWAL), of_environment(LAST, ROLLBACK))


@dataclass
class ImagesOnRecord:
    """Grows with the chain: `catch_up` reads what is newer than what it knows."""

    sequence: int = 0
    digest: str = ""
    decisions: int = 0
    """The newest decision's sequence."""
    asked: dict[str, str] = field(default_factory=dict)
    """Tag (a release's name, or that of inputs) -> the newest entry's time that asks for it or tells of it (UTC)."""
    told: dict[str, str] = field(default_factory=dict)
    """An image's digest -> the newest entry's time that tells of it (UTC)."""
    images: dict[str, str] = field(default_factory=dict)
    """Release -> its image."""
    inputs: dict[str, str] = field(default_factory=dict)
    """Release -> the tag of the inputs that it was decided on."""
    fine: list[str] = field(default_factory=list)
    """Releases that ended well and that nobody left because they were wrong, oldest first."""
    places: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    """Release -> the connections and namespaces that it was decided for."""
    announced: set[str] = field(default_factory=set)
    """Images that an entry says are removed, and that no entry tells of since."""

    def catch_up(self, chain: Chain, tell: Callable[[str], None] = lambda _: None) -> None:
        """Read what is newer. A chain that is another one than before is read from its beginning.

        Args:
            chain: the record as it is.
            tell: is told how far it is, often.

        Raises:
            Permanent: (ledger_broken, ledger_missing, ledger_newer, storage_denied)
            Temporary: (storage_unavailable)
        """
        newer = []
        for number, entry in enumerate(chain):
            tell(f"{chain.service}: read {number} entries of the record")
            if entry.sequence == self.sequence and entry.digest == self.digest:
                break
            newer.append(entry)
        else:
            vars(self).update(vars(ImagesOnRecord()))
        self.add(reversed(newer))

    def add(self, entries: Iterable[LedgerEntry]) -> None:
        """Add entries, oldest first."""
        for entry in entries:
            self._add(entry)
            self.sequence, self.digest = entry.sequence, entry.digest

    def _add(self, entry: LedgerEntry) -> None:
        if entry.kind == Kind.IMAGES:
            named = {str(one.get("image")) for one in entry.data.get("images") or []}
            self.announced = self.announced | named if entry.reason == Reason.PRUNED else self.announced - named
            return
        if entry.kind == Kind.DECISION:
            self._decided(entry)
        if entry.kind == Kind.PREVIEW:
            self._previewed(entry)
        if entry.release:
            self._see(self.asked, entry.release, entry)
        for name in ("image", "candidate_image"):
            self._image(entry, entry.data.get(name), of_release=name == "image")
        self._judged(entry)

    def _decided(self, entry: LedgerEntry) -> None:
        self.decisions = entry.sequence
        try:
            tag = f"inputs-{Candidate.model_validate(entry.data.get('candidate')).inputs_digest}"
        except ValidationError:
            return  # nothing was pinned, or a newer version wrote it: a tag that is not known stays
        self._see(self.asked, tag, entry)
        if entry.release:
            self.inputs[entry.release] = tag
            environments = (entry.data.get("spec") or {}).get("environments") or []
            self.places[entry.release] = {(one.get("cluster", CLUSTER), one["namespace"]) for one in environments}

    def _previewed(self, entry: LedgerEntry) -> None:
        """A preview's image waits with the candidates, and is known by its inputs alone."""
        with suppress(ValidationError):  # an entry that pins nothing
            candidate = Candidate.model_validate(entry.data.get("candidate"))
            self._see(self.asked, f"inputs-{candidate.inputs_digest}", entry)

    def _image(self, entry: LedgerEntry, named: object, *, of_release: bool) -> None:
        if not isinstance(named, str):
            return
        try:
            image = ImageRef.parse(named)
        except ValueError:
            return
        self._see(self.told, image.digest, entry)
        self.announced = {one for one in self.announced if not one.endswith(image.digest)}
        if entry.release and of_release:
            self.images[entry.release] = named

    def _judged(self, entry: LedgerEntry) -> None:
        if not entry.release:
            return
        key = FactKey.parse(entry.key)
        left = key is not None and key.step in _LEFT and not key.outcome
        ended = entry.kind == Kind.RELEASE and entry.reason == Reason.RELEASED
        if left or ended:
            self.fine = [name for name in self.fine if name != entry.release]
        if ended:
            self.fine.append(entry.release)

    @staticmethod
    def _see(times: dict[str, str], name: str, entry: LedgerEntry) -> None:
        times[name] = max(times.get(name, ""), entry.time)
