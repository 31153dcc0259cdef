"""Serving HTTP: connections and their limits, problems and answers."""
