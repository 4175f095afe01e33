"""What came of a load: figures, what needs attention, and the page that shows both."""
