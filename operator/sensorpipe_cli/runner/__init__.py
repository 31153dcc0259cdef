"""What `sensorpipe up` starts, watches and stops."""
