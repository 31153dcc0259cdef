"""What every program runs on: tasks, settings, logs, health, MQTT and Kafka clients, TLS."""
