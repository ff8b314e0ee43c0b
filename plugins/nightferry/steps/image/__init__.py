"""An image: its source tested, built, tested itself, published."""
