"""`nightferry calendar`: the coming nights of a service, and exceptions from its calendar."""
