"""What keeps something from being released: a hold by a person, a quarantine, and the part that a gate failed for."""
