"""BuildKit, through its client `buildctl`.

`builder` is the door; the others read its progress and its failures, and hand it secrets.
"""
