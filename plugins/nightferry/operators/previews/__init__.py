"""The tasks that pin a preview, bring it up, write down how it went, and end it."""
