"""What goes wrong between a Mac and a phone, and what a person does about it, in plain words.

The patterns are what users of xcodebuild and devicectl (Xcode 15 to 27) have reported as their output.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from supernet.values import SpecError


class PhoneError(SpecError):
    """`passes`: a person at the phone can end it in a moment, without giving the command again. `is_known`: its reason
    was understood."""

    def __init__(self, message: str, passes: bool = False, is_known: bool = True) -> None:
        super().__init__("iPhone", message)
        self.passes, self.is_known = passes, is_known

    def __reduce__(self) -> tuple[type[PhoneError], tuple[str, bool, bool]]:  # type: ignore[override]
        return PhoneError, (self.message, self.passes, self.is_known)


class Failure(NamedTuple):
    pattern: str
    words: str
    passes: bool = False


# The first that fits counts: what is said beside other things stands after those.
FAILURES = (
    Failure(
        r"agreed to the Xcode license|Xcode license agreement",
        "Xcode's licence has not been accepted: open Xcode once, or `sudo xcodebuild -license accept`",
    ),
    Failure(
        r"requires Xcode, but active developer directory|unable to find utility \"devicectl\"|"
        r"invalid active developer path|no developer tools were found",
        "Xcode is not installed, or not chosen: install Xcode 16 or newer from the App Store, open it once, then "
        "`sudo xcode-select -s /Applications/Xcode.app`",
    ),
    Failure(
        r"could not be, unlocked|BSErrorCodeDescription\W+Locked|DeviceLocked|device is locked|passcode protected|"
        r"Ensure that the device is unlocked",
        "the phone is locked: unlock it, and keep it so (Settings > Display & Brightness > Auto-Lock > Never)",
        passes=True,
    ),
    Failure(
        r"Developer Mode (is |was )?(disabled|turned off|off\b|not enabled)|Developer Mode has not been enabled",
        "Developer Mode is off: on the phone, Settings > Privacy & Security > Developer Mode > on, and let it restart",
    ),
    Failure(
        r"must be paired before|is not paired|device not paired|(accept|respond to) the trust dialog|not trusted this",
        "the phone does not trust this Mac yet: connect it with a cable, unlock it, tap Trust and enter its passcode",
        passes=True,
    ),
    Failure(
        r"has not been explicitly trusted by the user|Developer App Certificate is not trusted",
        "the phone does not trust the app's developer yet: on the phone, Settings > General > VPN & Device Management "
        "> your Apple account > Trust (the phone needs the internet for it)",
        passes=True,
    ),
    Failure(
        r"maximum number of (installed )?apps|0xe8008021",
        "a free Apple account may have three apps of its own on a phone: delete one of them there",
    ),
    Failure(
        r"maximum number of App IDs|maximum App ID limit",
        "a free Apple account may register ten apps a week: use a --bundle that it has already, or wait",
    ),
    Failure(
        r"cannot be registered to your development team|Failed (Registering|to register) Bundle Identifier",
        "the app's identifier belongs to somebody else: choose another one with --bundle",
    ),
    Failure(
        r"No Accounts?\b|No Account for Team|Unable to log in with account|session has expired",
        "Xcode is not signed in for this team: Xcode > Settings > Accounts, add your Apple account (a free one will "
        "do), and see there that --team is the team's identifier",
    ),
    Failure(
        r"requires a development team|No signing certificate|No Team Found|not a member of|no team with ID",
        "signing fails for this --team: Xcode > Settings > Accounts shows the identifiers of your teams, and under "
        "Manage Certificates makes a development certificate",
    ),
    Failure(
        r"errSecInternalComponent|User interaction is not allowed|User canceled",
        "the keychain with the signing key is locked: run this in Terminal on the Mac itself and allow codesign",
    ),
    Failure(
        r"No profiles for|profile[^.\n]* (has )?expired|certificate (has )?expired|doesn.t include the currently|"
        r"valid provisioning profile for this executable was not found|profile cannot be installed|0xe80080(11|12|15)",
        "the app's profile is missing, expired (a free account's lasts 7 days) or made for other phones: with the Mac "
        "online and the phone connected, run this again, which renews it",
    ),
    Failure(
        r"iOS [\d.]+ is not installed|download and install the platform",
        "Xcode lacks the platform for iOS: Xcode > Settings > Components > iOS > Get",
    ),
    Failure(
        r"requires a newer version of iOS|DeviceOSVersionTooLow|MinimumOSVersion|lower than the minimum",
        "the phone's system is too old: the app needs iOS 17 or newer",
    ),
    Failure(
        r"not enough (disk |storage |free )?space|insufficient (disk |storage )?space|No space left on|out of space",
        "the storage is full: delete something from the phone (while building: from the Mac)",
    ),
    Failure(
        r"specified device was not found|device disconnected|no longer connected|tunnel connection failed|"
        r"Connection [^\n]*was (unexpectedly )?(closed|interrupted|invalid)|CoreDeviceError (error )?(1000|4000)\b|"
        r"NWError \(?60|not connected|usage assertion",
        "the phone can't be reached: it was unplugged, switched off, or the cable is loose. Connect it again",
        passes=True,
    ),
    Failure(
        r"Unable to find a (device|destination) matching|Found no destinations",
        "xcodebuild does not see the phone: unlock it, connect it again, and open Xcode > Window > Devices and "
        "Simulators once until it is prepared",
    ),
    Failure(
        r"disk image (services )?(could not be|can't be|failed)|personalized ?DDI|DeveloperImage",
        "the Mac can't prepare the phone for development: unlock it; if its iOS is newer than Xcode, update Xcode; "
        "otherwise restart the phone",
    ),
    Failure(
        r"integrity could not be verified|prohibited by|not permitted by (a|the) (profile|policy)",
        "the phone refuses apps that are not from the App Store: is it managed by a school or company?",
    ),
)


def explained(text: str, doing: str) -> PhoneError:
    for failure in FAILURES:
        if re.search(failure.pattern, text, re.IGNORECASE):
            return PhoneError(f"{doing}: {failure.words}", failure.passes)
    return PhoneError(f"{doing} failed. The last that was said: {last_words(text)}", is_known=False)


def last_words(text: str, lines: int = 6) -> str:
    """The end of a program's output, on one line."""
    said = [line for line in (re.sub(r"[^\x20-\x7e]+", " ", line).strip() for line in text.splitlines()) if line]
    return " | ".join(said[-lines:])[-1000:] or "nothing"
