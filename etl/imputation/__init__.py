"""Missing values, filled in from what similar transactions had before."""
