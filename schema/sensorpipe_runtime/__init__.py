"""What every program stands on: tasks, health, logs, TLS, settings; no contract of the pipeline."""
