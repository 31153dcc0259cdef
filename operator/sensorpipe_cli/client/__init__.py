"""What the HTTP APIs of a pipeline answer."""
