"""The phones estimates are made for. A network runs on the chip's Neural Engine, so phones with one chip are one."""

from __future__ import annotations

from supernet import SpecError
from supernet.values import show

CHIPS = {
    "A14": ("iPhone 12 mini", "iPhone 12", "iPhone 12 Pro", "iPhone 12 Pro Max"),
    "A15": (
        *("iPhone 13 mini", "iPhone 13", "iPhone 13 Pro", "iPhone 13 Pro Max"),
        *("iPhone 14", "iPhone 14 Plus", "iPhone SE (3rd generation)"),
    ),
    "A16": ("iPhone 14 Pro", "iPhone 14 Pro Max", "iPhone 15", "iPhone 15 Plus"),
    "A17 Pro": ("iPhone 15 Pro", "iPhone 15 Pro Max"),
}
REFERENCE_CHIP = "A15"
"""The factors of the other chips are against this one."""

CHIP_OF = {phone: chip for chip, phones in CHIPS.items() for phone in phones}


def _letters(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


_NAMED = {_letters(name): name for name in CHIP_OF}


def phone_name(device: str) -> str:
    """As Apple writes it; small letters and missing spaces are welcome, as in `iphone13`."""
    if not isinstance(device, str):
        raise SpecError("device", f"{show(device)} is not the name of a phone, such as 'iphone13'")
    if _letters(device) not in _NAMED:
        known = ", ".join(sorted(CHIP_OF))
        raise SpecError(
            "device", f"no latencies are published that would give an estimate for {show(device)}; known are {known}"
        )
    return _NAMED[_letters(device)]
