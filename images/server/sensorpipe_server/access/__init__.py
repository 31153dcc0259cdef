"""Who may read what of the API: docs/security.md, Access to the API."""
