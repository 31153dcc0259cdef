"""Feeds in use: which messages they take, what becomes of these, and the files they come from."""
