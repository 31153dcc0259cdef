"""Feeds: how messages of devices as they are become readings."""
