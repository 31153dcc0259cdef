"""Begins a run: shuts out former ones, and learns what may be durable already."""
