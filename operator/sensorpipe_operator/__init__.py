"""Turns Sensors into generator pods that publish, and says how they are."""
