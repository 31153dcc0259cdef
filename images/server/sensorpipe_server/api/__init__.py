"""The JSON API (DESIGN 5)."""
