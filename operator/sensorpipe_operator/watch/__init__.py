"""Keeps the cache up to date: by watches through kopf, and by lists of all objects."""
