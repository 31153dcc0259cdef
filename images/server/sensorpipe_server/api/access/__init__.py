"""Access to the API: keys of issuers, and the refusal of requests without a right to answers."""
