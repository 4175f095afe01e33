"""What rows must be to be loaded: a mapping fitted to columns, checked values, and refusals with reasons."""
