"""What a run and an integrity answer look like, for people."""
