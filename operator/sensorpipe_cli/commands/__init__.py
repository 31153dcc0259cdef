"""The commands: what each does and prints, and its exit code."""
