"""Parts that keep or make things: the registry, Azurite, BuildKit, a Docker engine."""
