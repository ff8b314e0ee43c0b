"""Whether a release may enter an environment now, or waits before it: each thing that can keep it is a file of its own.

Asked right before an environment's rollout. What waits is a state of the record; no run and no task waits with it.
"""
