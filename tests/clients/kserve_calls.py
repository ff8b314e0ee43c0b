"""Run by the environment that has KServe: ask the service everything, print what came as JSON."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest
from kserve.inference_client import RESTConfig


async def main(address: str) -> None:
    """Print one JSON object."""
    client = InferenceRESTClient(RESTConfig(protocol="v2"))
    said: dict[str, object] = {
        "live": await client.is_server_live(address),
        "ready": await client.is_server_ready(address),
        "model_ready": await client.is_model_ready(address, "sum"),
    }
    for kind in ("json", "binary"):
        answer = await client.infer(address, request(binary=kind == "binary"), model_name="sum")
        said[kind] = answer.outputs[0].as_numpy().tolist()
        said["id"] = answer.id
    try:
        await client.infer(address, {"inputs": []}, model_name="sum")
    except httpx.HTTPStatusError as error:
        said["refused"] = f"{error.response.status_code} {error}"
    print(json.dumps(said))


def request(binary: bool) -> InferRequest:
    """Return a request for both inputs."""
    a, b = InferInput("a", [1, 2], "FP32"), InferInput("b", [1, 2], "INT64")
    a.set_data_from_numpy(np.array([[1.5, 2.5]], np.float32), binary_data=binary)
    b.set_data_from_numpy(np.array([[10, -20]], np.int64), binary_data=binary)
    return InferRequest("sum", [a, b], request_id="r-1", parameters={"binary_data_output": True} if binary else None)


asyncio.run(main(sys.argv[1]))
