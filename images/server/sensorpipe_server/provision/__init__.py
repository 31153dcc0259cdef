"""Makes a mongod that runs beside it fit for the server: replica set, users, rights."""
