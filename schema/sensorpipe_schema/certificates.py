"""What TLS connections trust: servers may have certificates of their own making."""

import ssl


def trusting(ca_file: str | None) -> ssl.SSLContext:
    """Return a context that trusts `ca_file`, or else the system's authorities; may raise OSError.

    With a CA of one's own it does without the Authority Key Identifier, which Python asks for
    since 3.13: Strimzi's certificates have none (strimzi/strimzi-kafka-operator#11375), nor
    have many that are made by hand.
    """
    made = ssl.create_default_context(cafile=ca_file)
    if ca_file is not None:
        made.verify_flags &= ~ssl.VERIFY_X509_STRICT
    return made


def unusable(ca_file: str | None) -> str | None:
    """Return what is wrong with a file of CA certificates; None if nothing is, or none is named."""
    if ca_file is None:
        return None
    try:
        trusting(ca_file)
    except OSError as error:  # ssl.SSLError is one
        return f"{ca_file} holds no certificates: {error}"
    return None
