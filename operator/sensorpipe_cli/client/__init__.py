"""Requests to the HTTP APIs of a pipeline's programs, and their answers."""
