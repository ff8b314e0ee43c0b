"""Candidates that only users, or who looks class by class, find wrong: one forgets a class, one takes its time."""

from __future__ import annotations

import hashlib
import json
import shutil

from nightferry.clients.doors.image_builder import BuildRequest
from nightferry.entities.model_version import PinnedModel

from tests.e2e.rollout_scene import RolloutScene

SLOWED = """\
ARG GOOD
FROM ${GOOD} AS slowed
ENTRYPOINT ["python3", "-c", "%s"]
"""
SLOWLY = """\
import sys, time
from serving_app.model.predictor import Predictor
run = Predictor.run
def slowly(self, inputs):
    time.sleep(SECONDS)
    return run(self, inputs)
Predictor.run = slowly
from serving_app.__main__ import main
sys.exit(main())
"""
"""The workers are forks of the process that is begun with this."""


def without_class(scene: RolloutScene, label: str) -> tuple[PinnedModel, str]:
    """A newer model that never says one of its classes, whose author has no example of it; with its image."""
    import onnx

    folder = scene.folder / f"without-{label}"
    shutil.copytree(scene.folder / "model", folder)
    document = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    model = onnx.load(str(folder / "model.onnx"))
    (output,) = document["outputs"]
    for node in model.graph.node:
        node.output[:] = ["all" if name == output["name"] else name for name in node.output]
    mask = onnx.helper.make_tensor(
        "mask", onnx.TensorProto.FLOAT, [10], [float(one != label) for one in document["labels"]]
    )
    model.graph.initializer.append(mask)
    model.graph.node.append(onnx.helper.make_node("Mul", ["all", "mask"], [output["name"]]))
    content = model.SerializeToString(deterministic=True)
    (folder / "model.onnx").write_bytes(content)
    for file in document["files"]:
        if file["name"] == "model.onnx":
            file |= {"size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    document |= {"version": folder.name, "created": "2026-11-20T02:00:00Z"}
    document["golden"] = [one for one in document["golden"] if one["label"] != label]
    (folder / "model.json").write_text(json.dumps(document), encoding="utf-8")
    return scene._publish(folder), scene._build_image(folder)


def slowed(scene: RolloutScene, seconds: float) -> str:
    """The scene's image, each of whose inferences takes so much longer."""
    folder = scene.folder / f"slowed-{seconds:g}"
    folder.mkdir()
    code = SLOWLY.replace("SECONDS", f"{seconds:g}").replace("\n", "\\n")
    dockerfile = folder / "Dockerfile"
    dockerfile.write_text(SLOWED % code, encoding="utf-8")
    return scene._build(BuildRequest(dockerfile, "slowed", {}, {"GOOD": scene.image}), folder.name)
