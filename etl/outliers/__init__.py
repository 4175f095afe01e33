"""Amounts far from those of similar transactions, marked for people."""
