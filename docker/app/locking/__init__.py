"""What lock.py does: `command` is its modes; the others read requirements, run pip and apt, and say what went wrong."""
