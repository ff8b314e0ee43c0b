"""What a service file may say: `rules` is asked when one is read, the others are the grammars that it asks in turn.

They are judged by what they imitate: tests/contract compares each with Kubernetes, the Docker engine or git.
"""
