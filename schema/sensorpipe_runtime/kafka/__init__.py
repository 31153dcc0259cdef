"""Kafka clients: settings, TLS, topic queries, and errors explained."""
