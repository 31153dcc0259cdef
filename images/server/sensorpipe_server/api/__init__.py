"""The JSON API, as docs/api.md describes it."""
