"""Begins a run: fences earlier ones, and learns what may be durable already."""
