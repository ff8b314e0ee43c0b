"""The Lease of a service in an environment: one moves its traffic at a time. It is for order and economy; what keeps
users safe is the fence on the Service (steps/rollout/fence.py), which holds without any Lease."""
