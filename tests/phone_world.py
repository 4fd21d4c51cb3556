"""A Mac with a phone: Apple's two programs are replaced by stand-ins, whose doings a test decides."""

import json
import os
import sys
from pathlib import Path

from latency_lut.devices import iphone

TEAM = "ABCDE12345"
LOCKED = """ERROR: The application failed to launch. (com.apple.dt.CoreDeviceError error 10002 (0x2712))
       BundleIdentifier = slimformer.measure
           The request was denied by service delegate (SBMainWorkspace) for reason: Locked ("Unable to launch
           slimformer.measure because the device was not, or could not be, unlocked").
           BSErrorCodeDescription = Locked"""


def device(name="Owner's iPhone", identifier="CORE-1", model="iPhone 13", os_="17.7", **changes):
    hardware = {"platform": "iOS", "deviceType": "iPhone", "udid": f"00008110-{identifier}", "reality": "physical"}
    entry = {
        "identifier": identifier,
        "hardwareProperties": hardware
        | {"marketingName": model, "productType": "iPhone14,5", "serialNumber": "SECRET"},
        "deviceProperties": {"name": name, "osVersionNumber": os_, "developerModeStatus": "enabled"},
        "connectionProperties": {"pairingState": "paired", "transportType": "wired", "tunnelState": "disconnected"},
    }
    for part, values in changes.items():
        entry[part] = entry[part] | values
    return entry


class World:
    """What the stand-ins do and what they were asked."""

    def __init__(self, folder, monkeypatch):
        self.folder = folder / "world"
        programs = folder / "bin"
        for path in (self.folder, programs):
            path.mkdir()
        for name in ("xcrun", "xcodebuild"):
            (programs / name).write_text(
                f"#!{sys.executable} -IS\nimport sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n"
                f"import phone_stand_in\nsys.exit(phone_stand_in.{name}(sys.argv[1:]))\n"
            )
            (programs / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
        monkeypatch.setenv("PHONE_WORLD", str(self.folder))
        monkeypatch.setattr(iphone, "PAUSE_S", 0.1)
        self.set(devices=[device()])

    def set(self, **state):
        (self.folder / "world.json").write_text(json.dumps(state))

    def calls(self, *words):
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [call for call in map(json.loads, lines) if " ".join(words) in " ".join(call)]
