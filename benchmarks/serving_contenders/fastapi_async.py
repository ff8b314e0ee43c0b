"""FastAPI on uvicorn as fast as it goes: async, no validation by models, orjson, uvloop, httptools."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import Response

from benchmarks.serving_contenders.model import NAME, Model

app = FastAPI()
model = Model()


@app.post(f"/v2/models/{NAME}/infer")
async def infer(request: Request) -> Response:
    """Answer."""
    return Response(model.infer(await request.body()), media_type="application/json")
