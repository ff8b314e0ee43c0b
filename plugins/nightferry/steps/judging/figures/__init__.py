"""What users met, in figures: where a plan's are read, and what is judged by them."""
