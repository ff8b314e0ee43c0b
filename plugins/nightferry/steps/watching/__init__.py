"""Look whether the repositories of code and models hold something new, and start the runs that decide about it.

A look decides nothing: `decide` looks again. `look_around` is the whole of it, `due` the question that it asks.
"""
