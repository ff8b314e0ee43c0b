"""What was found when releases were compared."""
