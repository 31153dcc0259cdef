"""What the programs share: names, messages, sketch, MQTT link, settings, logs, metrics."""
