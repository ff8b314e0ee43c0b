"""From an app's requirements to its lock, and from the lock to installed packages; run inside BuildKit.

    python3 lock.py gather | resolve | build | install | system | tests

Standard library alone, Python 3.11 or newer: it runs on the app's own base image. See `locking/command.py`.
"""

from locking.command import main

if __name__ == "__main__":
    main()
