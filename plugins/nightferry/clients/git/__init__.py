"""Source repositories, through the `git` program.

`command` runs it, `source` pins a commit, `export` takes an app's folder out of it.
"""
