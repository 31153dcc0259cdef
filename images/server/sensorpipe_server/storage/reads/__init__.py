"""Ranges, pages, counts and lists, read from windows and rollups."""
