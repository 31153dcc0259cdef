"""The contract between the programs: names, readings, partials, sketches, Sensors."""
