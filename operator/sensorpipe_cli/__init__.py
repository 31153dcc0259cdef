"""The command line for people: run the pipeline on this machine, verify its integrity."""
