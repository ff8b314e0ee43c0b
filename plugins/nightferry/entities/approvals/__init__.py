"""People's yes: who may give it, what was answered, and what counts. One function says what counts, for everybody."""
