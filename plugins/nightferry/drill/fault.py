"""What a fault of the drill is: it says beforehand what traffic may see, is injected, has to be seen, and is healed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nightferry.drill.trial import Trial


@dataclass(frozen=True)
class Allows:
    """What callers may see while the fault is there. No request to the copy may fail, and production's users never get
    a wrong answer."""

    wrong_seconds: float = 0.0
    """From the first wrong answer of the copy to the last; 0: none may be wrong."""
    production_seconds: float = 0.0
    """From the first request of production's users that failed to the last; 0: none may fail."""

    @property
    def sentence(self) -> str:
        """For people."""
        parts = [f"copy: at most {self.wrong_seconds:g} s of wrong answers"] if self.wrong_seconds else []
        parts += [f"production: at most {self.production_seconds:g} s of failures"] if self.production_seconds else []
        return "; ".join(parts) or "nothing"


NOTHING = Allows()


class Unseen(Exception):
    """The fault was not noticed, or was taken for something else; the text says what happened instead."""


class Fault(Protocol):
    """One way in which things break."""

    @property
    def name(self) -> str:
        """As people call it, and `--only` does."""
        ...

    @property
    def says(self) -> str:
        """What is done, in a sentence."""
        ...

    @property
    def allows(self) -> Allows:
        """What callers of the trial may see."""
        ...

    @property
    def quick(self) -> bool:
        """Whether it takes seconds and disturbs nobody else."""
        ...

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts of the machine that are stopped or killed, by the names of `nightferry status`."""
        ...

    @property
    def new(self) -> bool:
        """Whether a release that is rolled out meanwhile has to be in use in the end; else the one before has to."""
        ...

    def refused(self, trial: Trial) -> str:
        """Why it cannot be tried on this service; empty where it can."""
        ...

    def inject(self, trial: Trial) -> None:
        """Do it."""
        ...

    def see(self, trial: Trial) -> str:
        """Wait until Nightferry, or the cluster, has noticed; what it said. Raises Unseen."""
        ...

    def heal(self, trial: Trial) -> None:
        """Take the fault away, where it does not go by itself. Called whatever came before; done twice it is done."""
        ...
