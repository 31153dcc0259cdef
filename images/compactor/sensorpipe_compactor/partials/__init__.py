"""Makes the partials of many windows at once."""
