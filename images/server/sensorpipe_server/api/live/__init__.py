"""`GET /api/live`: windows as they are stored, as server-sent events."""
