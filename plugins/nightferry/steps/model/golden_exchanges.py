"""The golden examples of a model that only its app opens, as HTTP exchanges."""

from __future__ import annotations

from pydantic import ValidationError

from nightferry.entities.app.exchange import Exchange
from nightferry.entities.frozen import problems
from nightferry.entities.model_version import FILES, MANIFEST, ModelManifest
from nightferry.entities.reason import Reason
from nightferry.errors import Permanent


def golden_exchanges(manifest: ModelManifest) -> tuple[Exchange, ...]:
    """What the app is asked for a model of the format files.

    Raises:
        Permanent: (model_examples_wrong) one is no exchange, or the model is in ONNX, whose examples are requests of
            the Open Inference Protocol.
    """
    if manifest.format != FILES and manifest.golden:
        raise Permanent(
            Reason.MODEL_EXAMPLES_WRONG,
            f"The golden examples of model {manifest.version} are for the stock service, and an app of its own is "
            f"asked exchanges; publish it again without its {MANIFEST}, with --examples.",
        )
    place = f"{MANIFEST} of model {manifest.version}"
    return tuple(exchange_of(value, f"{place}, golden[{number}]") for number, value in enumerate(manifest.golden))


def exchange_of(value: object, where: str) -> Exchange:
    """An exchange as JSON has it.

    Raises:
        Permanent: (model_examples_wrong) it is none; the sentence says where it is, and what is wrong.
    """
    try:
        return Exchange.model_validate(value)
    except ValidationError as fault:
        raise Permanent(Reason.MODEL_EXAMPLES_WRONG, f"{where}: {problems(fault)[0]}.") from fault
