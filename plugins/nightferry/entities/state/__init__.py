"""What the record says of a service now: `service_state` is the fold over its entries; beside it what that is made
of: what users get, canaries, drift and the last rehearsal. What is barred has its own wing."""
