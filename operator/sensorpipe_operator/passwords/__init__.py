"""Makes the passwords of a release once, in the cluster, where no rendering can change them."""
