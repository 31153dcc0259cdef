"""Reduces readings to windows and acknowledges them once they are durable in Kafka."""
