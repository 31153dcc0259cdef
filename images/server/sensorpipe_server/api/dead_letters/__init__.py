"""`GET /api/dead-letters`: what could not be used, newest first, read from Kafka on demand."""
