"""The command on the Mac, against stand-ins of xcodebuild and xcrun and a phone that measures made-up times."""

import json
from pathlib import Path

import phone_stand_in as stand_in
import pytest
from phone_jobs import make_job
from phone_world import LOCKED, TEAM, World, device

from latency_lut.devices.iphone import measure_on_iphone
from latency_lut.phone.explaining import PhoneError, explained
from latency_lut.phone.job import read_job
from latency_lut.phone.results import read_results
from supernet import SpecError

BUNDLE = "slimformer.measure.abcde12345"


def newer_device(**changes):
    """As Xcode 27 lists it, once the older dictionaries are gone."""
    properties = {
        "hardware": {"platform": "iOS", "reality": "physical", "udid": "00008110-NEW", "marketingName": "iPhone 18"},
        "software": {"osVersionNumber": {"components": [27, 2], "stringValue": "27.2"}},
        "state": {"name": "New", "developerModeStatus": {"enabled": {"mode": 1}}, "bootState": "booted"},
        "connection": {"pairingState": "paired", "state": "connected", "transportType": "wired"},
    }
    for part, values in changes.items():
        properties[part] = properties[part] | values
    return {"identifier": "CORE-NEW", "properties": properties}


MAC = {
    "identifier": "MAC",
    "hardwareProperties": {"platform": "macOS"},
    "connectionProperties": {"transportType": "wired"},
}
SIMULATOR = device(identifier="SIM", hardwareProperties={"reality": "simulated"})


class JobWorld(World):
    """With a job to be measured, and the driver that does it."""

    def __init__(self, folder, monkeypatch):
        super().__init__(folder, monkeypatch)
        self.said, self.job_dir, self.cache = [], make_job(folder), folder / "cache"

    def measure(self, **keywords):
        options = {"team": TEAM, "cache": self.cache, "say": self.said.append, "poll_s": 0.5, "patience_s": 0.2}
        return measure_on_iphone(self.job_dir, **(options | keywords))

    def fails(self, words, **keywords):
        said = self.failure(**keywords)
        assert words in said
        return said

    def failure(self, **keywords):
        """What is said, in one line."""
        with pytest.raises(PhoneError) as caught:
            self.measure(**keywords)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return JobWorld(tmp_path, monkeypatch)


def test_all_of_a_job(world):
    results = world.measure()
    assert results.is_finished
    assert {name: len(item.bursts) for name, item in results.items.items()} == {"a1": 4, "b2": 2, "c3": 2, "d4": 2}
    assert {name for name, item in results.items.items() if item.sustained} == {"a1", "d4"}
    assert read_results(world.job_dir).items == results.items
    (build,) = world.calls("xcodebuild", "-project")
    assert f"DEVELOPMENT_TEAM={TEAM}" in build
    assert f"PRODUCT_BUNDLE_IDENTIFIER={BUNDLE}" in build
    assert "platform=iOS,id=00008110-CORE-1" in build  # its UDID; devicectl wants the identifier
    assert all(_after(call, "--device") == "CORE-1" for call in world.calls("devicectl device"))
    assert len(world.calls("copy to")) == 1
    assert world.said[-1].startswith("10 of about 10 bursts")
    project = build[build.index("-project") + 1]
    assert (Path(project) / "project.pbxproj").exists()
    assert not list(world.job_dir.glob(".*"))  # nothing temporary is left


def _after(words, name):
    return words[words.index(name) + 1]


def test_nothing_of_the_owner_is_written(world):
    world.measure()
    for file in world.job_dir.rglob("*"):
        for secret in (b"Owner", b"CORE-1", b"00008110", b"SECRET"):
            assert not file.is_file() or secret not in file.read_bytes()


def test_a_second_call_has_nothing_to_do(world):
    world.measure()
    before = len(world.calls(""))
    assert world.measure().is_finished
    assert len(world.calls("")) == before


def test_crashes_cost_only_the_item_under_way(world, tmp_path):
    expected = stand_in.App(
        json.loads((world.job_dir / "job.json").read_text()), stand_in.FakePhone({"base_ns": {}}, 1), tmp_path / "plain"
    )
    expected.run()
    world.set(devices=[device()], lives=[4, 9, 1, 14])
    results = world.measure()
    assert results.is_finished
    assert results.items == read_results(tmp_path / "plain").items
    assert sum("has ended before all was measured" in said for said in world.said) == 4
    assert len(world.calls("copy to")) == 1  # the phone keeps the job


def test_an_item_that_ends_the_app_is_left_out(world):
    world.set(devices=[device()], script={"deadly": ["c3"]})
    results = world.measure()
    assert results.is_finished
    assert results.items["c3"].failed == "the app ended 2 times in it"
    assert len(results.items["b2"].bursts) == 2


def test_an_app_that_never_gets_anywhere_is_given_up(world):
    world.set(devices=[device()], lives=[1] * 20)
    message = world.fails("the app ended 3 times without a result. The last that was said: ")
    assert "App terminated due to signal 9." in message
    world.set(devices=[device()])
    assert world.measure().is_finished


def test_unplugged_in_the_middle_and_plugged_in_again(world):
    world.set(devices=[device()], lives=[8], unplugged=[2])
    results = world.measure(patience_s=20)
    assert results.is_finished
    assert any("can't be reached: it was unplugged" in said for said in world.said)


def test_unplugged_for_good_and_continued_later(world):
    world.set(devices=[device()], lives=[12], unplugged=[1000])
    world.fails("the phone can't be reached: it was unplugged, switched off, or the cable is loose. Connect it again")
    world.set(devices=[device()])
    assert world.measure().is_finished
    assert len(world.calls("copy to")) == 1


def test_the_app_was_deleted_and_its_results_go_along(world):
    world.set(devices=[device()], lives=[16], unplugged=[1])
    world.measure(patience_s=20)
    whole = read_results(world.job_dir)
    lines = (world.job_dir / "results.jsonl").read_bytes().splitlines(keepends=True)
    (world.job_dir / "results.jsonl").write_bytes(b"".join(lines[:15]))
    for file in sorted(world.folder.glob("phone/**/*"), reverse=True):
        file.unlink() if file.is_file() else file.rmdir()
    world.set(devices=[device()])
    assert world.measure().items == whole.items


def test_locked_phone_is_waited_for(world):
    world.set(devices=[device()], **{"process launch": [LOCKED, LOCKED]})
    assert world.measure(patience_s=20).is_finished
    assert sum("the phone is locked: unlock it" in said for said in world.said) == 1
    world.job_dir.joinpath("results.jsonl").unlink()
    world.set(devices=[device()], **{"process launch": [LOCKED] * 100})
    (world.folder / "phone" / BUNDLE / "Documents/jobs" / read_job(world.job_dir).job / "results.jsonl").unlink()
    world.fails("the phone is locked: unlock it")


def test_hot_phone_waits_and_says_so(world):
    world.set(devices=[device()], script={"always_warm": True})
    assert "the app stopped: thermal fair for 30 minutes; run this again when the phone is cool" in world.failure()


def test_low_power_mode_stops(world):
    world.set(devices=[device()], scripts=[{"low_power": True}])
    world.fails("the app stopped: low power mode; switch it off: Settings > Battery > Low Power Mode")
    assert world.measure().is_finished


def test_what_the_app_itself_finds_wrong(world):
    world.set(devices=[device()], app_errors=["results.jsonl was begun on iPhone14,5 with iOS 17.7, this is another"])
    assert "the app says: results.jsonl was begun on iPhone14,5 with iOS 17.7, this is another" in world.failure()


def test_a_hung_app_is_ended_and_started_again(world, monkeypatch):
    """The stand-in does not hang; the launch that does is a program that only sleeps."""
    from latency_lut.phone import app

    real, first = app.start, []

    def sleeping_first(log, *command):
        if first:
            return real(log, *command)
        first.append(command)
        return real(log, "sleep", "60")

    monkeypatch.setattr(app, "start", sleeping_first)
    assert world.measure(stall_s=0.2).is_finished
    assert any("the app is taken for hung" in said for said in world.said)


# Which phone


@pytest.mark.parametrize(
    ("devices", "words"),
    [
        ([], "no phone is known to this Mac: connect it with a cable, unlock it, tap Trust"),
        ([MAC, SIMULATOR, {"identifier": "OLD"}, 7], "no phone is known to this Mac"),
        (
            [device(connectionProperties={"tunnelState": "unavailable"})],
            "can't be reached: connect the phone with a cable",
        ),
        ([device(connectionProperties={"transportType": None})], "can't be reached"),
        ([device(connectionProperties={"pairingState": "unpaired"})], "does not trust this Mac yet"),
        ([device(os_="16.7.2")], "has a system that is too old: iOS 17 or newer is needed"),
        (
            [device(deviceProperties={"developerModeStatus": "disabled"})],
            "Settings > Privacy & Security > Developer Mode",
        ),
        (
            [newer_device(state={"developerModeStatus": {"disabled": {}}})],
            "Developer Mode of New (iPhone 18, iOS 27.2) is off",
        ),
        (
            [device(), device("Other", "CORE-2")],
            "several phones are connected, choose one with --phone: Owner's iPhone",
        ),
    ],
)
def test_phones_that_will_not_do(world, devices, words):
    world.set(devices=devices)
    assert words in world.failure()


def test_the_phone_that_is_meant(world):
    devices = [device(), device("Other", "CORE-2", model="iPhone 15"), newer_device(), MAC, SIMULATOR]
    for wanted in ("other", "CORE-2", "00008110-core-2", "iPhone 15"):
        world.set(devices=devices, **{"install app": ["ERROR: enough seen"]})
        world.fails("enough seen", phone=wanted)
        assert _after(world.calls("install app")[-1], "--device") == "CORE-2"
    world.set(devices=devices)
    world.fails(
        "'mine' is none of this Mac's phones: Owner's iPhone (iPhone 13, iOS 17.7): CORE-1; Other", phone="mine"
    )
    world.set(devices=devices)
    assert world.measure(phone="New").is_finished


def test_a_phone_that_is_connected_in_time(world):
    world.set(devices=[device()], phones=[[], []])
    assert world.measure(patience_s=20).is_finished


# What else goes wrong

FAILURES = {
    "process launch": [
        (
            "ERROR: The application failed to launch.\nUnable to launch x because it has an invalid code signature, "
            "inadequate entitlements or its profile has not been explicitly trusted by the user.",
            "Settings > General > VPN & Device Management",
        ),
    ],
    "install app": [
        (
            "ERROR: The device must be paired before it can be connected. (com.apple.dt.CoreDeviceError error 2)",
            "tap Trust",
        ),
        ("The operation failed because Developer Mode is disabled.", "Developer Mode is off: on the phone, Settings"),
        ("kAMDMobileImageMounterDeviceLocked: The device is locked", "the phone is locked: unlock it"),
        ("ERROR: The developer disk image could not be mounted on this device. (12040)", "update Xcode"),
        (
            "This device has reached the maximum number of installed apps using a free developer profile: {(x)}",
            "three apps of its own on a phone: delete one",
        ),
        ("ERROR: DeviceOSVersionTooLow: The app requires a newer version of iOS", "needs iOS 17 or newer"),
        ("This provisioning profile cannot be installed on this device. 0xe8008012", "profile is missing, expired"),
        ("There is not enough space on the device", "the storage is full"),
        ("This app cannot be installed because its integrity could not be verified.", "managed by a school"),
    ],
    "copy to": [
        ("ERROR: No space left on device (NSPOSIXErrorDomain error 28)", "the storage is full: delete something")
    ],
    "build": [
        ("error: No Account for Team \"ABCDE12345\".\nerror: No profiles for 'x' were found", "Xcode is not signed in"),
        ("error: No Accounts: Add a new account in Accounts settings.", "Xcode is not signed in for this team"),
        ('error: No signing certificate "iOS Development" found', "signing fails for this --team"),
        ('error: Signing for "Slimformer" requires a development team.', "signing fails for this --team"),
        ("error: No profiles for 'x' were found: Xcode couldn't find any", "profile is missing, expired"),
        ('error: Provisioning profile "iOS Team Provisioning Profile: x" has expired', "a free account's lasts 7 days"),
        (
            'error: Failed Registering Bundle Identifier: The app identifier "x" cannot be registered to your '
            "development team because it is not available.",
            "choose another one with --bundle",
        ),
        (
            "errSecInternalComponent\nCommand CodeSign failed with a nonzero exit code",
            "the keychain with the signing key",
        ),
        ("error: iOS 18.2 is not installed. To use with Xcode, first download and install the platform", "Components"),
        (
            "xcodebuild: error: Unable to find a destination matching the provided destination specifier",
            "does not see the",
        ),
    ],
    "list devices": [
        (
            'xcrun: error: unable to find utility "devicectl", not a developer tool or in PATH',
            "Xcode is not installed, or not chosen",
        ),
        ("You have not agreed to the Xcode license agreements.", "Xcode's licence has not been accepted"),
    ],
}


@pytest.mark.parametrize(("said", "words"), [pair for pairs in FAILURES.values() for pair in pairs])
def test_failures_in_plain_words(said, words):
    error = explained(said, "doing")
    assert words in str(error)
    assert str(error).startswith("iPhone: doing")
    assert error.is_known


@pytest.mark.parametrize("command", FAILURES)
def test_failures_of_each_step(world, command):
    for said, words in FAILURES[command][:1]:
        world.set(devices=[device()], **{command: [said] * 100})
        assert words in world.failure()


def test_unknown_failures_show_what_was_said(world):
    world.set(devices=[device()], build=["error: cannot find 'x' in scope\n\n** BUILD FAILED **"])
    message = world.fails("failed. The last that was said: error: cannot find 'x' in scope | ** BUILD FAILED **")
    assert f"all of it: {world.cache / 'build.log'}" in message
    assert "cannot find 'x'" in (world.cache / "build.log").read_text()
    world.set(devices=[device()], **{"install app": ["ERROR: something new\n\n  with two lines"]})
    world.fails("installing the app failed. The last that was said: ERROR: something new | with two lines")


def test_without_xcode(world, monkeypatch):
    monkeypatch.setenv("PATH", str(world.folder))
    assert "xcrun is not on this computer: a phone is measured from a Mac with Xcode 16 or newer" in world.failure()


def test_old_xcode(world):
    world.set(devices=[device()], xcode="15.4")
    assert "Xcode 15 is too old: Xcode 16 or newer is needed" in world.failure()


def test_what_the_user_wrote(world):
    for option, value in (("team", "me"), ("team", "ABCDE12345; ls"), ("bundle", "a b"), ("bundle", "x=y.z")):
        with pytest.raises(SpecError, match=f"--{option}: .* is no "):
            world.measure(**{option: value})
    with pytest.raises(SpecError, match="can't be read"):
        measure_on_iphone(world.folder, team=TEAM)


def test_last_words_are_short_and_printable():
    error = explained("\x1b[31m" + "x" * 5000 + "\x07\nlast\n", "doing")
    assert len(str(error)) < 1200
    assert str(error).isprintable()
    assert str(error).endswith("last")
    assert not error.is_known
