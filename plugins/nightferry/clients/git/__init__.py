"""Source repositories, through the `git` program.

`source` pins a commit and writes an app's folder, out of a `checkout` on this machine or a `mirror` of a repository
elsewhere; `submodules` and `large_files` complete what a commit only points to. `command` runs git, `words` reads what
it says when it fails.
"""
