"""Which services' kept connections are known to follow a release."""

from __future__ import annotations

from nightferry.entities.service_spec import STOCK, ServiceSpec


def kept_connections_note(spec: ServiceSpec) -> str | None:
    """What is not known of a service whose app is one of its own, as a sentence; None for the stock service.

    A Kubernetes Service chooses a pod for each connection once, so only the app can send a user with a kept
    connection to the release in use.
    """
    if spec.source is None or spec.is_stock:  # it ends its connections by itself (docs/serving.md)
        return None
    return (
        f"{spec.service}: its app {spec.source.path} is not the stock service ({STOCK}). Unless it ends its kept "
        "connections within 45 s, users who have one stay with the release before for as long as that is warm; "
        "see docs/serving.md, Kept connections and releases."
    )
