"""The phones that this Mac knows, and the one that is meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from supernet.values import printable, show

from .explaining import PhoneError
from .programs import devicectl, must

OLDEST_IOS = 17


@dataclass(frozen=True)
class Phone:
    """The name is its owner's: it is shown when there is a choice, and never written anywhere."""

    identifier: str
    """What devicectl calls it."""
    udid: str
    """What xcodebuild calls it."""
    name: str
    model: str
    os: str
    is_reachable: bool
    is_paired: bool
    is_for_developers: bool

    def __str__(self) -> str:
        return printable(f"{self.name} ({self.model}, iOS {self.os})")


def list_phones() -> list[Phone]:
    answer = must(devicectl("list", "devices", "--timeout", "15", timeout_s=60), "listing phones")
    entries = answer.result.get("devices")
    return [phone for entry in entries if (phone := _phone(entry))] if isinstance(entries, list) else []


def choose_phone(wanted: str | None) -> Phone:
    """The only one that is connected, or the one with this name, model, identifier or UDID."""
    phones = list_phones()
    if wanted is not None:
        known, phones = phones, [phone for phone in phones if _is_called(phone, wanted)]
        if not phones:
            raise PhoneError(f"{show(wanted)} is none of this Mac's phones: {_listing(known)}")
    reachable = [phone for phone in phones if phone.is_reachable]
    if not phones:
        raise PhoneError(
            "no phone is known to this Mac: connect it with a cable, unlock it, tap Trust and enter its passcode", True
        )
    if not reachable:
        raise PhoneError(f"{_listing(phones)} can't be reached: connect the phone with a cable and unlock it", True)
    if len(reachable) > 1:
        raise PhoneError(f"several phones are connected, choose one with --phone: {_listing(reachable)}")
    (phone,) = reachable
    _check(phone)
    return phone


def _check(phone: Phone) -> None:
    if not phone.is_paired:
        raise PhoneError(f"{phone} does not trust this Mac yet: unlock it, tap Trust and enter its passcode", True)
    major = phone.os.partition(".")[0]
    if major.isdigit() and int(major) < OLDEST_IOS:
        raise PhoneError(f"{phone} has a system that is too old: iOS {OLDEST_IOS} or newer is needed")
    if not phone.is_for_developers:
        raise PhoneError(
            f"Developer Mode of {phone} is off: Settings > Privacy & Security > Developer Mode > on, and let it restart"
        )


def _listing(phones: list[Phone]) -> str:
    return "; ".join(f"{phone}: {phone.identifier}" for phone in phones) or "it knows none"


def _is_called(phone: Phone, wanted: str) -> bool:
    names = (phone.identifier, phone.udid, phone.name, phone.model)
    return wanted.casefold() in (name.casefold() for name in names if name)


def _phone(entry: Any) -> Phone | None:
    """Newer versions have everything under `properties`, and the older dictionaries beside for the time being."""
    properties = _dict(_dict(entry).get("properties"))
    hardware = _dict(properties.get("hardware")) or _dict(_dict(entry).get("hardwareProperties"))
    connection = _dict(properties.get("connection")) or _dict(_dict(entry).get("connectionProperties"))
    device = _dict(_dict(entry).get("deviceProperties"))
    state, software = _dict(properties.get("state")) or device, _dict(properties.get("software")) or device
    identifier = _text(_dict(entry).get("identifier"))
    if hardware.get("platform") not in ("iOS", "iPadOS") or hardware.get("reality") in ("simulated", "virtual"):
        return None  # a watch, the Mac itself, a simulator
    gone = "unavailable" in (connection.get("tunnelState"), connection.get("state"))
    return Phone(
        identifier=identifier,
        udid=_text(hardware.get("udid")) or identifier,
        name=_text(state.get("name")),
        model=_text(hardware.get("marketingName")) or _text(hardware.get("productType")),
        os=_text(software.get("osVersionNumber")) or "of an unknown version",
        is_reachable=bool(connection.get("transportType")) and not gone,
        is_paired=connection.get("pairingState") != "unpaired",
        is_for_developers=_text(state.get("developerModeStatus")) != "disabled",
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    """A text, in whichever wrapping: "x", {"stringValue": "x"} and {"x": {...}} are all met."""
    if isinstance(value, dict):
        wrapped = value.get("stringValue")
        return wrapped if isinstance(wrapped, str) else next((key for key in value if isinstance(key, str)), "")
    return value if isinstance(value, str) else ""
