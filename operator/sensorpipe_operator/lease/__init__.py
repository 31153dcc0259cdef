"""One operator acts at a time: it holds a Lease, and the others wait."""
