"""The parts of the OCI distribution API that say what is there, and that remove it.

Makes differ. ACR and registries of version 3 give tags in pages, each with a `Link` to the next (OCI distribution
specification 1.1, "Content discovery"); Docker's registry 2.8 gives them all at once, and `null` once the last tag is
gone. Docker's answers 405 UNSUPPORTED to a deletion unless `storage.delete.enabled` is set; ACR answers 405
REGISTRY_DISALLOWED_OPERATION where the image or its repository is locked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from nightferry.clients.registry.session import RegistrySession
from nightferry.entities.image_ref import ImageRef
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent, Temporary

if TYPE_CHECKING:
    import requests

DELETED = (200, 202, 204)
REFUSED = (400, 405, 409, 423)
"""How registries say that they delete nothing, or not this."""


def tags(session: RegistrySession, path: str) -> tuple[str, ...]:
    """All tags of a repository; none where there is no such repository.

    Raises:
        Permanent: (registry_denied)   Temporary: (registry_unavailable)
    """
    found: set[str] = set()
    page: str | None = f"{path}/tags/list"
    asked: set[str] = set()
    while page is not None:
        if page in asked:
            raise Temporary(
                Reason.REGISTRY_UNAVAILABLE, f"The image registry {session.host} lists the tags of {path} in a circle."
            )
        asked.add(page)
        answer = session.request("GET", page, pull=path)
        if answer.status_code == 404:
            break
        session.expect(answer, 200)
        found.update(_tags_in(session, path, answer))
        page = _next(session, answer)
    return tuple(sorted(found))


def has_blob(session: RegistrySession, path: str, digest: str) -> bool:
    """Whether a repository has a blob. Raises as `tags`."""
    answer = session.request("HEAD", f"{path}/blobs/{digest}", pull=path)
    if answer.status_code == 404:
        return False
    session.expect(answer, 200)
    return True


def delete(session: RegistrySession, path: str, image: ImageRef) -> bool:
    """Remove a manifest; False when it was gone already.

    Raises as `tags`; Permanent (registry_delete_denied).
    """
    answer = session.request("DELETE", f"{path}/manifests/{image.digest}", delete=path)
    if answer.status_code == 404:
        return False
    if answer.status_code in REFUSED:
        raise Permanent(
            Reason.REGISTRY_DELETE_DENIED,
            f"The image registry {session.host} does not delete {image}: {session.said(answer)} Where it deletes "
            "nothing, switch that on (Docker's registry: storage.delete.enabled); where the image is locked, which ACR "
            "can do, unlock it, or leave it.",
        )
    if answer.status_code not in DELETED:
        session.expect(answer, 202)
    return True


def _tags_in(session: RegistrySession, path: str, answer: requests.Response) -> list[str]:
    try:
        listed = answer.json().get("tags")
    except (ValueError, AttributeError) as error:
        raise Temporary(
            Reason.REGISTRY_UNAVAILABLE,
            f"What {session.host} answers for the tags of {path} is no list of tags: is it a container registry?",
        ) from error
    return [str(tag) for tag in listed or []]


def _next(session: RegistrySession, answer: requests.Response) -> str | None:
    """Where the next page is. It is asked for with our credentials, so it has to be at the same registry."""
    link = answer.links.get("next", {}).get("url")
    if not link:
        return None
    address = urljoin(answer.url, link)
    ours = urlsplit(answer.url)
    if urlsplit(address)[:2] != (ours.scheme, ours.netloc):
        raise Temporary(
            Reason.REGISTRY_UNAVAILABLE,
            f"The image registry {session.host} says that its list of tags goes on elsewhere; it is not followed.",
        )
    return address
