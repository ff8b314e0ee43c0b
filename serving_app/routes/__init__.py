"""What the Flask app answers."""
