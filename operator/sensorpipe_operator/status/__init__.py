"""A Sensor's status, conditions and events: pure functions of what the cache holds."""
