"""What is stored in MongoDB, and how it is written and read."""
