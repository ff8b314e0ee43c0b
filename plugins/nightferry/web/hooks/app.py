"""The endpoints. A request is read up to a bound, proved, and starts a look at its repository; nothing else is said.

| answer | means |
|---|---|
| 202 | a look was started, or it is known already |
| 204 | signed, and about nothing that is watched |
| 400, 401, 408, 413 | not JSON; not proved; too slow; too long |
| 429, 503 | too many; Airflow's database does not answer |
| 404 | there is no such endpoint, or no secret for it |
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.requests import ClientDisconnect

from nightferry.entities.watching.push import Push
from nightferry.web.hooks.bounds import SLOW, Bounds
from nightferry.web.hooks.known import Known
from nightferry.web.hooks.proofs import WINDOW_SECONDS, Headers
from nightferry.web.hooks.refusal import Refusal
from nightferry.web.hooks.secrets import Secrets
from nightferry.web.hooks.senders import SENDERS, Sender
from nightferry.web.hooks.wake import wake

MOST_BYTES = 1_000_000
READ_SECONDS = 10.0
"""How long a body may take to come."""
TOO_SLOW = 408
log = logging.getLogger(__name__)


class Hooks:
    """What the endpoints share."""

    def __init__(
        self,
        secrets: Secrets | None = None,
        known: Known | None = None,
        wake: Callable[[Push], bool] = wake,
        now: Callable[[], float] = time.time,
        bounds: Bounds | None = None,
    ) -> None:
        self._secrets = secrets or Secrets()
        self._known = known or Known()
        self._wake = wake
        self._now = now
        self._bounds = bounds or Bounds()

    async def receive(self, name: str, request: Request) -> int:
        """The status to answer with.

        Raises:
            Refusal: it is not served.
        """
        sender = SENDERS.get(name)
        secret = await asyncio.to_thread(self._secrets.of, name) if sender else ""
        if sender is None or not secret:
            raise Refusal(404)
        client = request.client.host if request.client else ""
        if not self._bounds.enter(client):
            raise Refusal(429)
        try:
            return await self._served(sender, secret, client, request)
        finally:
            self._bounds.leave(client)

    async def _served(self, sender: Sender, secret: str, client: str, request: Request) -> int:
        headers = {key.lower(): value for key, value in request.headers.items()}
        proved = any(one in headers for one in sender.proof)
        try:
            body = await _body(request) if proved else b""
        except Refusal as refusal:
            self._bounds.refused(client, SLOW if refusal.status == TOO_SLOW else 1)
            raise
        if not proved or not sender.knows(headers, body, secret, self._now()):
            self._bounds.refused(client)
            raise Refusal(401)
        return await asyncio.to_thread(self._delivered, sender, headers, body)

    def _delivered(self, sender: Sender, headers: Headers, body: bytes) -> int:
        content = _parsed(body)
        said = sender.says(headers, content)
        repositories = self._known.among(sender.name, said) if said else ()
        if said is None or not repositories:
            return 204
        digest = hashlib.sha256(body).hexdigest()
        if self._bounds.seen(digest, WINDOW_SECONDS):
            return 202
        push = Push(
            repositories=repositories[:20],
            provider=sender.name,
            delivery=(sender.delivery(headers, content) or digest[:32])[:500],
            by=said.by,
            commit=said.commit,
            passed_over=said.passed_over,
        )
        try:
            self._wake(push)
        except Exception as fault:  # the sender may try again, and the poll finds it anyway
            self._bounds.forget(digest)
            log.warning("A delivery of %s could not start a look: %s", sender.name, type(fault).__name__)
            raise Refusal(503) from fault
        return 202


def hooks_app(hooks: Hooks | None = None) -> FastAPI:
    """The application: one path for each sender, and no page about itself."""
    app, served = FastAPI(docs_url=None, redoc_url=None, openapi_url=None), hooks or Hooks()

    async def receive(name: str, request: Request) -> Response:
        try:
            return Response(status_code=await served.receive(name, request))
        except Refusal as refusal:
            return Response(status_code=refusal.status)

    for name in SENDERS:
        app.add_api_route(f"/{name}", _typed(partial(receive, name)), methods=["POST"], response_model=None)
    return app


def _typed(receive: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Any:
        return await receive(request)

    # FastAPI reads the annotation as an object: in this module they are texts.
    endpoint.__annotations__ = {"request": Request}
    return endpoint


async def _body(request: Request) -> bytes:
    """The body, up to MOST_BYTES: what a sender says about its length is believed only where it is too much."""
    said = request.headers.get("content-length", "0")
    if not said.isdigit() or int(said) > MOST_BYTES:
        raise Refusal(413)
    pieces, size = [], 0
    try:
        async with asyncio.timeout(READ_SECONDS):
            async for piece in request.stream():
                size += len(piece)
                if size > MOST_BYTES:
                    raise Refusal(413)
                pieces.append(piece)
    except TimeoutError as fault:
        raise Refusal(TOO_SLOW) from fault
    except ClientDisconnect as fault:
        raise Refusal(400) from fault
    return b"".join(pieces)


def _parsed(body: bytes) -> Mapping[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as fault:
        raise Refusal(400) from fault
    if not isinstance(content, dict):
        raise Refusal(400)
    return content
