"""Issuer and keys of the cluster's own tokens, in a ConfigMap."""
