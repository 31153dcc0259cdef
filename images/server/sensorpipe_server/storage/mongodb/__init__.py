"""The MongoDB client, its collections and its errors."""
