"""Publishes the simulated readings of one Sensor."""
