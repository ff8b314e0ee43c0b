"""`nightferry preview`: start a preview, see what it came to, list, end and promote."""
