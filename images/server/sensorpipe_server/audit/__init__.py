"""The audit of every stored window of the last day, and its findings."""
