"""Stores compacted windows in MongoDB and answers the JSON API."""
