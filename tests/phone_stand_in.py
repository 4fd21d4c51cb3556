"""Stand-ins of `xcrun devicectl` and `xcodebuild`, and behind them a phone that measures: the app's protocol once more,
in Python, with times that are made up. tests/test_phone_results.py compares it line by line with what Swift code wrote.

What is to go wrong stands in a folder's world.json: queues by command, whose first entry is taken at each call.
"""

import json
import os
from pathlib import Path

CHECKED_EVERY, ENDS_ALLOWED = 40, 2
FACTS = {"app": "1.0", "cores": 6, "memory_bytes": 4_000_000_000, "model": "iPhone14,5", "os": "iOS 17.7"}
GONE = "ERROR: The specified device was not found. (com.apple.dt.CoreDeviceError error 1000 (0x3E8))"
NO_FILE = "ERROR: Failed to retrieve the file node for {} (com.apple.dt.CoreDeviceError error 7000 (0x1B58))"


# The order of a round


class SplitMix64:
    def __init__(self, state):
        self.state = state

    def next(self):
        mask = 2**64 - 1
        self.state = (self.state + 0x9E3779B97F4A7C15) & mask
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & mask
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & mask
        return z ^ (z >> 31)

    def below(self, limit):
        return (self.next() * limit) >> 64


def shuffled(items, seed, round_, attempt):
    generator, order = SplitMix64((seed << 32) + (round_ << 16) + attempt), list(items)
    for last in range(len(order) - 1, 0, -1):
        other = generator.below(last + 1)
        order[last], order[other] = order[other], order[last]
    return order


# The phone


class Killed(BaseException):
    """The app is gone from one moment to the next."""


class FakePhone:
    def __init__(self, script, warm_up):
        self.script, self.warm_up = script, warm_up
        self.loads = self.runs = self.interruptions = 0
        self.warm_ms, self.now, self.id = 0.0, 0, ""
        self.low_power = script.get("low_power", False)

    def sleep(self, ms):
        self.now += round(ms * 1e6)
        self.warm_ms = max(0.0, self.warm_ms - ms)

    @property
    def thermal(self):
        return "fair" if self.warm_ms > 0 or self.script.get("always_warm") else "nominal"

    def load(self, id_):
        self.id, self.runs = id_, 0
        self.loads += 1
        if id_ in self.script.get("deadly", []):
            raise Killed
        return id_ not in self.script.get("broken", [])

    def predict(self):
        slow = next((s[2] for s in self.script.get("slow", []) if s[0] <= self.loads <= s[1]), 1)
        base = self.script["base_ns"].get(self.id, 1_000_000)
        self.now += int((base + 1000 * (self.runs % 3)) * slow)
        self.runs += 1
        if self.runs == self.warm_up + 1:
            if self.loads in self.script.get("warm", []):
                self.warm_ms = 10_000
            if self.loads in self.script.get("left", []):
                self.interruptions += 1


class Stopped(Exception):  # noqa: N818
    pass


class App:
    """`lives` is the number of lines after which the app is killed."""

    def __init__(self, job, phone, path, lives=None, time="1970-01-01T00:00:00Z"):
        self.job, self.rules, self.phone, self.path, self.lives = job, job["protocol"], phone, path, lives
        self.known, self.rounds, self.failed, self.placed, self.sustained = {}, {}, set(), set(), set()
        self.begun, self.finished = {}, False
        content = path.read_bytes() if path.exists() else b""
        content = content[: content.rfind(b"\n") + 1]
        path.write_bytes(content)
        for line in content.splitlines():
            self.add(json.loads(line))
        self.write(event="device", format=1, job=job["job"], time=time, **FACTS)

    def write(self, **event):
        if self.lives == 0:
            with self.path.open("ab") as file:
                file.write(json.dumps(event).encode()[:20])  # torn
            raise Killed
        self.lives = None if self.lives is None else self.lives - 1
        event = {name: value for name, value in event.items() if value is not None}
        with self.path.open("ab") as file:
            file.write(json.dumps(event, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        self.add(event)

    def add(self, event):
        kind, id_ = event["event"], event.get("id")
        if kind == "begin":
            self.begun[id_] = self.begun.get(id_, 0) + 1
        elif kind in ("burst", "sustained", "failed"):
            self.begun.pop(id_, None)
        if kind == "burst" and event["counts"]:
            ordered = sorted(event["samples_ms"])
            half = len(ordered) // 2
            median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
            self.known[id_, event["round"], event["attempt"], event.get("place")] = median
        elif kind == "sustained" and event["counts"]:
            self.sustained.add(id_)
        elif kind == "failed":
            self.failed.add(id_)
        elif kind == "placement":
            self.placed.add(id_)
        elif kind == "round":
            self.rounds.setdefault(event["round"], []).append(event["accepted"])
        elif kind == "finished":
            self.finished = True

    def run(self):
        """The app's exit status."""
        if self.finished:
            return 0
        try:
            for round_ in range(self.rules["rounds"]):
                while True not in self.rounds.get(round_, []):
                    self.round(round_, len(self.rounds.get(round_, [])))
            self.all_sustained()
        except Stopped as stop:
            self.write(event="stopped", reason=str(stop))
            return 2
        self.write(event="finished")
        return 0

    def round(self, round_, attempt):
        anchor, medians, drifted = self.job["anchor"], [], False
        may_drift = attempt == self.rules["round_repeats"]

        def look():
            self.burst(anchor, round_, attempt, len(medians))
            key = (anchor, round_, attempt, len(medians))
            if key not in self.known:
                raise Stopped("the anchor can't be measured")
            medians.append(self.known[key])
            return max(medians[-1], medians[0]) / min(medians[-1], medians[0]) <= 1 + self.rules["drift"]

        if anchor:
            look()
        others = [item["id"] for item in self.job["items"] if item["id"] != anchor]
        for index, id_ in enumerate(shuffled(others, self.rules["seed"], round_, attempt)):
            if anchor and index and index % CHECKED_EVERY == 0:
                drifted |= not (look() or look())
            if drifted and not may_drift:
                break
            self.burst(id_, round_, attempt)
        if anchor and (not drifted or may_drift):
            drifted |= not (look() or look())
        self.write(
            event="round", round=round_, attempt=attempt, anchor_ms=medians or None,
            accepted=not drifted or may_drift, drifted=drifted,
        )  # fmt: skip

    def burst(self, id_, round_, attempt, place=None):
        if (id_, round_, attempt, place) not in self.known:
            self.measure(id_, self.rules["burst_runs"], event="burst", round=round_, attempt=attempt, place=place)

    def all_sustained(self):
        for item in self.job["items"] if self.rules["sustained_runs"] else []:
            if (item.get("sustained") or item["id"] == self.job["anchor"]) and item["id"] not in self.sustained:
                self.measure(item["id"], self.rules["sustained_runs"], event="sustained")

    def measure(self, id_, runs, **blank):
        if id_ in self.failed:
            return
        if self.begun.get(id_, 0) >= ENDS_ALLOWED:
            self.write(event="failed", id=id_, reason=f"the app ended {ENDS_ALLOWED} times in it")
            return
        for _ in range(1 + self.rules["burst_repeats"]):
            self.wait_until_calm()
            self.write(**(blank | {"event": "begin", "id": id_}))
            if not self.phone.load(id_):
                self.write(event="failed", id=id_, reason="it can't be compiled")
                return
            self.phone.now += 12_000_000
            counts = self.timed(id_, runs, blank)
            self.phone.sleep(self.rules["idle_ms"])
            if counts:
                return
        tries = self.rules["burst_repeats"] + 1
        raise Stopped(f"the phone was too warm or in use during {tries} measurements of one item")

    def timed(self, id_, runs, blank):
        phone = self.phone
        if id_ not in self.placed:
            operations = {"neural_engine": 3, "gpu": 0, "cpu": 1, "unknown": 0}
            self.write(event="placement", id=id_, operations=operations, cost={"neural_engine": 0.75})
        for _ in range(self.rules["warm_up"]):
            phone.predict()
        interruptions, before, samples = phone.interruptions, phone.thermal, []
        for _ in range(runs):
            start = phone.now
            phone.predict()
            samples.append((phone.now - start) / 1e6)
        after, left = phone.thermal, phone.interruptions != interruptions
        calm = before == "nominal" and (after == "nominal" or blank["event"] == "sustained")
        counts = calm and not left and not phone.low_power
        self.write(
            **blank, id=id_, samples_ms=samples, compile_ms=5, load_ms=7, thermal_before=before, thermal_after=after,
            low_power=phone.low_power, interrupted=left, counts=counts,
        )  # fmt: skip
        return counts

    def wait_until_calm(self):
        waited, told = 0, False
        while True:
            if self.phone.low_power:
                raise Stopped("low power mode")
            if self.phone.thermal == "nominal":
                return
            if waited >= 30 * 60_000:
                raise Stopped(f"thermal {self.phone.thermal} for 30 minutes")
            if not told:
                self.write(event="waiting", reason=f"thermal {self.phone.thermal}")
            told = True
            self.phone.sleep(5000)
            waited += 5000


# The programs


class World:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.state = json.loads((self.folder / "world.json").read_text())

    def take(self, name):
        queue = self.state.setdefault(name, [])
        taken = queue.pop(0) if queue else None
        (self.folder / "world.json").write_text(json.dumps(self.state))
        return taken

    def log(self, arguments):
        with (self.folder / "calls.jsonl").open("a") as file:
            file.write(json.dumps(arguments) + "\n")

    def documents(self, bundle):
        return self.folder / "phone" / bundle / "Documents"


def _option(arguments, name):
    return arguments[arguments.index(name) + 1] if name in arguments else None


def xcodebuild(arguments):
    world = World(os.environ["PHONE_WORLD"])
    world.log(["xcodebuild", *arguments])
    if arguments == ["-version"]:
        print(f"Xcode {world.state.get('xcode', '16.2')}\nBuild version 16C5032a")
        return 0
    if failure := world.take("build"):
        print(failure)
        return 65
    settings = dict(argument.split("=", 1) for argument in arguments if "=" in argument and "platform" not in argument)
    app = Path(_option(arguments, "-derivedDataPath")) / "Build/Products/Release-iphoneos/Slimformer.app"
    app.mkdir(parents=True, exist_ok=True)
    (app / "identifier").write_text(settings["PRODUCT_BUNDLE_IDENTIFIER"])
    print("** BUILD SUCCEEDED **")
    return 0


def xcrun(arguments):
    world = World(os.environ["PHONE_WORLD"])
    world.log(["xcrun", *arguments])
    assert arguments[0] == "devicectl"
    command = " ".join(word for word in arguments[1:4] if not word.startswith("-"))
    command = command.removeprefix("device ")
    json_path = _option(arguments, "--json-output")
    if failure := world.take(command):
        print(failure)
        if json_path:
            Path(json_path).write_text(json.dumps({"info": {"outcome": "failed"}, "error": {"code": 1}}))
        return 1
    result = _COMMANDS[command](world, arguments)
    if isinstance(result, str):
        print(result)
        return 1
    if json_path and isinstance(result, dict):
        Path(json_path).write_text(json.dumps({"info": {"outcome": "success", "jsonVersion": 2}, "result": result}))
    return 0 if isinstance(result, dict) else result


def _list(world, arguments):
    queued = world.take("phones")
    return {"devices": world.state["devices"] if queued is None else queued}


def _install(world, arguments):
    app = Path(arguments[arguments.index("--device") + 2])
    world.documents((app / "identifier").read_text()).mkdir(parents=True, exist_ok=True)
    return {}


def _copy_to(world, arguments):
    target = world.documents(_option(arguments, "--domain-identifier")).parent / _option(arguments, "--destination")
    if not target.parent.exists():
        return NO_FILE.format(target)
    target.write_bytes(Path(_option(arguments, "--source")).read_bytes())
    return {}


def _copy_from(world, arguments):
    source = _option(arguments, "--source")
    path = world.documents(_option(arguments, "--domain-identifier")).parent / source
    if not path.exists():
        return NO_FILE.format(source)
    Path(_option(arguments, "--destination")).write_bytes(path.read_bytes())
    return {}


def _launch(world, arguments):
    assert arguments[-1] == "--measure"
    if error := world.take("app_errors"):
        print(f"slimformer: Error: {error}")
        return 3
    documents = world.documents(arguments[-2])
    print("Waiting for the application to terminate...", flush=True)
    if (documents / "job.tar").exists():
        import tarfile  # takes longer than the rest

        with tarfile.open(documents / "job.tar") as tar:
            job = json.loads(tar.extractfile("job.json").read())
            tar.extractall(documents / "jobs" / job["job"], filter="data")
        (documents / "job.tar").unlink()
    (folder,) = (documents / "jobs").iterdir()
    job = json.loads((folder / "job.json").read_text())
    script = {"base_ns": {}} | world.state.get("script", {}) | (world.take("scripts") or {})
    phone = FakePhone(script, job["protocol"]["warm_up"])
    try:
        status = App(job, phone, folder / "results.jsonl", lives=world.take("lives"), time="now").run()
    except Killed:
        print("App terminated due to signal 9.")
        unplugged = world.take("unplugged")  # for how many calls, after the app has died
        if unplugged:
            for name in ("copy from", "process launch"):
                world.state[name] = [GONE] * unplugged
            (world.folder / "world.json").write_text(json.dumps(world.state))
        return 1
    return status


_COMMANDS = {
    "list devices": _list,
    "install app": _install,
    "copy to": _copy_to,
    "copy from": _copy_from,
    "process launch": _launch,
}
