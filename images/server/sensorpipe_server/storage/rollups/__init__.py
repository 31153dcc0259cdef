"""Rollups of the stored windows: computed, computed again, and removed."""
