"""What is done for a release, one verb for each file: plain functions over the clients.

The folders follow a release: deciding, model, image, judging, rollout, record; `services` reads the service files.
"""
