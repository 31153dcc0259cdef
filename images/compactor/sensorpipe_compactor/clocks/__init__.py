"""What time it is, and whose clock is wrong."""
