"""Readings in windows of event time, in bounded memory: pure."""
