"""The record: entries are appended, read and verified here."""
