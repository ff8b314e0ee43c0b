"""The processes that serve: the main one and its workers."""
