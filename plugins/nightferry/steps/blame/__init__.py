"""Which part of a release a gate failed for: old and new code with old and new model are tried, and the guilty one is
named. Nothing here touches a cluster."""
