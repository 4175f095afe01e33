"""A mapping for somebody's file or table, guessed from its columns' names and contents."""
