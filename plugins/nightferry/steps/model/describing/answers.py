"""What the service answers to examples that nobody gave an answer for, asked in a process of its own.

`python -m nightferry.steps.model.describing.answers DIR` prints the answers as its last line, as `answers_of` reads
them: a list with the outputs of each golden example, or the sentence why there are none.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nightferry.entities.reason import Reason
from nightferry.errors import Permanent
from nightferry.steps.model.model_folder import read_manifest
from nightferry.steps.model.trial import InProcess, app_of, end_after
from nightferry.steps.model.try_model import how_it_ended, run_apart

SECONDS = 300
"""For the start and all examples."""


def answers_of(folder: Path, version: str) -> list[list[dict[str, Any]]]:
    """The outputs that the service gives for each golden example of a version's folder, in their order.

    Raises:
        Permanent: (model_not_servable: the service does not start with it, or refuses an example)
    """
    done = run_apart(__name__, folder, SECONDS, version)
    try:
        answers: list[list[dict[str, Any]]] | str = json.loads((done.stdout.splitlines() or [""])[-1])
    except ValueError:
        answers = how_it_ended(done)
    if isinstance(answers, str):
        raise Permanent(
            Reason.MODEL_NOT_SERVABLE, f"The service gives no answers with model {version}: {answers.rstrip('.')}."
        )
    return answers


def _answers(folder: Path) -> list[list[dict[str, Any]]] | str:
    manifest, _ = read_manifest(folder)
    try:
        client = InProcess(app_of(folder))
    except Exception as error:  # whatever it is, the service would have ended with it
        return " ".join(str(error).split()) or type(error).__name__
    found = []
    for number, example in enumerate(manifest.golden):
        answer = client.post(f"/v2/models/{manifest.service}/infer", {"inputs": example.get("inputs")})
        document = answer.document()
        if answer.status != 200 or not isinstance(document, dict):
            return f"example {number} got {answer.status}: {answer.said()}"
        found.append([{"name": output["name"], "data": output["data"]} for output in document["outputs"]])
    return found


if __name__ == "__main__":
    end_after(int(sys.argv[2]))
    sys.stdout.write(f"\n{json.dumps(_answers(Path(sys.argv[1])))}\n")
