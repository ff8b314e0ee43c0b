"""People's yes: who is meant when a release is decided, what they are shown, and what they answered."""
