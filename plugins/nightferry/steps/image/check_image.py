"""Hold a built image against what a pod may run: who it runs as, and that it says what it was built from."""

from __future__ import annotations

from nightferry.clients.doors.image_registry import ImageRegistry
from nightferry.entities.app.contract import AppContract
from nightferry.entities.candidate import Candidate
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent

INPUTS = "dev.nightferry.inputs"


def check_image(image: ImageRef, candidate: Candidate, registry: ImageRegistry) -> None:
    """Look at an image that an app's own Dockerfile made; what ours makes is known.

    Raises:
        Permanent: (app_contract_invalid: it runs as root or as a user with no number, or has nothing to start;
            image_contract_broken: its labels are not those that it was built with)
        Temporary: (registry_unavailable)
    """
    if candidate.app is None or candidate.app.dockerfile is None:
        return
    check_start(image, candidate.app, registry)
    inputs = (registry.config(image).get("Labels") or {}).get(INPUTS)
    if inputs != candidate.inputs_digest:
        raise Permanent(
            Reason.IMAGE_CONTRACT_BROKEN,
            f"The image of {candidate.app.dockerfile} says {INPUTS} {inputs}, not {candidate.inputs_digest}.",
        )


def check_start(image: ImageRef, contract: AppContract, registry: ImageRegistry) -> None:
    """Look at who an image runs as, and whether it starts anything. Raises as `check_image`."""
    if contract.dockerfile is None:
        return
    name, config = contract.dockerfile, registry.config(image)
    user = str(config.get("User") or "").partition(":")[0]
    if not user.isdecimal() or int(user) == 0:
        runs = (
            f"as the user {user!r}, whose number a cluster cannot see" if user not in ("", "0", "root") else "as root"
        )
        raise Permanent(
            Reason.APP_CONTRACT_INVALID,
            f"The image of {name} runs {runs}; end it with the number of a user that is not root: USER 65532:65532.",
        )
    if not (contract.start or config.get("Entrypoint") or config.get("Cmd")):
        raise Permanent(
            Reason.APP_CONTRACT_INVALID,
            f"The image of {name} starts nothing: it has neither ENTRYPOINT nor CMD; add one, or say `start:` in "
            "nightferry.yaml.",
        )
