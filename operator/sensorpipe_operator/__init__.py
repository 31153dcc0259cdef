"""The operator: runs a Sensor's generators as pods and reports their state in its status."""
