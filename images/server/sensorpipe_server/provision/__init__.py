"""Provisions the mongod in the same pod: replica set, users, roles."""
