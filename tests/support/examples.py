"""How many random examples a property is tried with."""

from hypothesis import settings

_USUAL = 100
"""Examples of the profile in use where nothing says otherwise, which `count` is meant for."""


def examples(count: int) -> settings:
    """Return the settings for `count` examples, or a tenth of these in the profile `quick`."""
    return settings(max_examples=max(1, count * settings().max_examples // _USUAL))
