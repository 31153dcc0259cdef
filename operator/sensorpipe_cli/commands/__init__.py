"""The commands: what each does, prints and returns as its exit code."""
