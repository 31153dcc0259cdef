"""Merges Feeds for the compactor, and tells in their status what it reports of them."""
