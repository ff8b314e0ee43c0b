"""What of a service, and of its route, is not as the record decided it: found here, put back by a rollout's `heal`."""
