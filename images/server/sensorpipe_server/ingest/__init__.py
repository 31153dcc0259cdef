"""From Kafka to MongoDB."""
