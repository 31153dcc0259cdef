"""The MQTT 5 link: our own connections on the codec of `mqtt5`."""
