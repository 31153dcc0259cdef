"""The objects a Sensor needs, and comparing them with those in the cluster: pure functions."""
