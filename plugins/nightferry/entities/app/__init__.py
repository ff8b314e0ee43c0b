"""An app of somebody: what it says about itself (its contract), requests with known answers, and its lock."""
