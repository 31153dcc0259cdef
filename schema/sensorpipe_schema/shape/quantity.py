"""Kubernetes quantities: `500m`, `128Mi`, `2`."""

import re
from fractions import Fraction
from typing import Final

RULE: Final = "a quantity such as 500m, 2, 128Mi or 1G"

_SCALES: Final = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    **{unit: Fraction(1000 ** (i + 1)) for i, unit in enumerate("kMGTP")},
    **{f"{unit}i": Fraction(1024 ** (i + 1)) for i, unit in enumerate("KMGTP")},
}
_quantity: Final = re.compile(
    r"([0-9]{1,15}(?:\.[0-9]{1,9})?)(n|u|m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?", re.ASCII
).fullmatch


def parse(text: str | int) -> Fraction:
    """Return the exact amount of a quantity; raise ValueError if it is not one."""
    found = _quantity(str(text))
    if not found:
        raise ValueError(f"must be {RULE}; got {text!r}")
    number, unit = found.groups("")
    return Fraction(number) * _SCALES[unit]
