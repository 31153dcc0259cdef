"""Brings the cluster in line with each Sensor."""
