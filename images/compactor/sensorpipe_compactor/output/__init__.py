"""Makes what the compactor hands out durable in Kafka."""
