"""The job's folder, the archive it travels in, and the project that builds the app."""

import io
import json
import random
import re
import tarfile
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import phone_stand_in as stand_in
import pytest
from phone_jobs import make_job, make_packages

from latency_lut.phone.archive import pack, unpack_job, unpack_results
from latency_lut.phone.job import PHONE_PROTOCOL, read_job, write_job
from latency_lut.phone.results import read_results
from supernet import SpecError

IOS = Path(__file__).parents[1] / "latency_lut" / "ios"


@pytest.fixture
def job_dir(tmp_path):
    return make_job(tmp_path)


def measure(job_dir, lives=None):
    job = json.loads((job_dir / "job.json").read_text())
    app = stand_in.App(job, stand_in.FakePhone({"base_ns": {}}, 1), job_dir / "results.jsonl", lives)
    try:
        app.run()
    except stand_in.Killed:
        return


# The folder


def test_job_has_what_the_phone_reads(job_dir):
    """The names of the fields are those of the Swift code's example."""
    written = json.loads((job_dir / "job.json").read_text())
    example = json.loads((IOS / "Tests/MeasuringTests/Golden/job.json").read_text())
    assert written.keys() == example.keys()
    assert example["protocol"].keys() <= written["protocol"].keys()
    assert {"id", "package", "sha256"} <= written["items"][0].keys()
    assert [item["sustained"] for item in written["items"]] == [False, False, False, True]
    for item in written["items"]:
        assert (job_dir / item["package"] / "Manifest.json").exists()
    job = read_job(job_dir)
    assert job.bursts == 10
    assert re.fullmatch(r"[0-9a-f]{64}", job.job)


def test_same_job_same_hash_and_another_one_is_another(tmp_path, job_dir):
    first = read_job(job_dir).job
    assert read_job(make_job(tmp_path / "again")).job == first
    packages = list(make_packages(tmp_path / "more"))
    write_job(job_dir, packages, compute_units="cpu_and_ne", anchor="a1", protocol=read_job(job_dir).protocol)
    assert read_job(job_dir).job == first
    assert write_job(tmp_path / "other", packages).job != first


def test_results_of_another_job_are_not_mixed_up(tmp_path, job_dir):
    measure(job_dir)
    with pytest.raises(SpecError, match="holds results of another job: choose another folder"):
        write_job(job_dir, make_packages(tmp_path / "more"), anchor="b2")
    assert read_results(job_dir).is_finished


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "format: 2 is not 1, which this version reads"),
        ({"job": "ff"}, "job: its hash is another one: the file was changed"),
        ({"compute_units": "gpu"}, "compute_units: 'gpu' is not one of all, cpu_and_ne, cpu_and_gpu, cpu_only"),
        ({"anchor": "z"}, "anchor: 'z' is not among the items"),
        ({"items": []}, "items: there are none"),
        ({"items": "x"}, "items: 'x' can't stand here: expected a list"),
        (
            {"items": [{"id": "a1", "package": "../x", "sha256": ""}], "anchor": None},
            "items[0].package: '../x' leads out",
        ),
        ({"items": [{"id": "a1", "package": "x", "sha256": ""}] * 2}, "items: an id is there twice"),
        ({"protocol": {"rounds": 0}}, "protocol.rounds: 0 is not a number from 1 to 100,000"),
        ({"more": 1}, "more: there is no such field"),
    ],
)
def test_jobs_that_are_none(job_dir, change, words):
    path = job_dir / "job.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(SpecError) as caught:
        read_job(job_dir)
    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_files_that_are_no_jobs(job_dir):
    for content in (b"", b"{", b"[]", b"\xff", b"[" * 100_000):
        (job_dir / "job.json").write_bytes(content)
        with pytest.raises(SpecError):
            read_job(job_dir)
    with pytest.raises(SpecError, match=r"can't be read"):
        read_job(job_dir / "packages")


def test_what_is_handed_in(tmp_path):
    package, *_ = make_packages(tmp_path / "packages")
    with pytest.raises(SpecError, match=r"id: '\.\./x' is not made of"):
        write_job(tmp_path / "job", [package._replace(id="../x")])
    with pytest.raises(SpecError, match="there is no such package"):
        write_job(tmp_path / "job", [package._replace(path=tmp_path / "none")])
    with pytest.raises(SpecError, match="compute_units"):
        write_job(tmp_path / "job", [package], compute_units="gpu")
    assert not (tmp_path / "job").exists()
    assert write_job(tmp_path / "job", [package]).protocol == PHONE_PROTOCOL


# The archive


def test_there_and_back_by_hand(tmp_path, job_dir):
    """Packed on Linux, unpacked and measured elsewhere, results carried back as whatever was at hand."""
    pack(job_dir, tmp_path / "job.tar")
    other = unpack_job(tmp_path / "job.tar", tmp_path / "elsewhere")
    assert read_job(other) == read_job(job_dir)
    measure(other, lives=20)
    assert unpack_job(tmp_path / "job.tar", other) == other  # once more: what is measured stays
    early = (other / "results.jsonl").read_bytes()
    measure(other)
    whole = read_results(other)

    unpack_results(other / "results.jsonl", job_dir)
    assert read_results(job_dir).items == whole.items
    with tarfile.open(tmp_path / "results.tar.gz", "w:gz") as tar:
        tar.add(other, "elsewhere")
    with zipfile.ZipFile(tmp_path / "results.zip", "w") as archive:
        archive.writestr("elsewhere/results.jsonl", early)
        archive.writestr("__MACOSX/elsewhere/results.jsonl", b"junk")
    for name in ("results.tar.gz", "results.zip"):
        unpack_results(tmp_path / name, job_dir)
        assert read_results(job_dir).items == whole.items


def test_archive_is_the_same_each_time_and_carries_results_along(tmp_path, job_dir):
    pack(job_dir, tmp_path / "one.tar")
    pack(make_job(tmp_path / "again"), tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    measure(job_dir, lives=9)
    pack(job_dir, tmp_path / "three.tar")
    measured = read_results(unpack_job(tmp_path / "three.tar", tmp_path / "there"))
    assert measured.items == read_results(job_dir).items
    with tarfile.open(tmp_path / "three.tar") as tar:  # what the app's reader expects
        assert all(member.isreg() and not member.pax_headers for member in tar)


def test_archive_that_the_swift_tests_read_is_of_this_format(tmp_path):
    """If it no longer is, `pack` makes a new Golden/job.tar: packages a1 and f * 64 of tests/phone_jobs.py."""
    job = read_job(unpack_job(IOS / "Tests/MeasuringTests/Golden/job.tar", tmp_path / "there"))
    assert [item.id for item in job.items] == ["a1", "f" * 64]


def test_long_names_and_missing_packages(tmp_path):
    package, *_ = make_packages(tmp_path / "packages")
    package = package._replace(id="f" * 64)
    write_job(tmp_path / "job", [package])
    pack(tmp_path / "job", tmp_path / "job.tar")
    unpack_job(tmp_path / "job.tar", tmp_path / "there")
    (tmp_path / "job" / "packages" / f"{package.id}.mlpackage" / "Manifest.json").unlink()
    pack(tmp_path / "job", tmp_path / "broken.tar")
    with pytest.raises(SpecError, match="is missing, or damaged: its hash is another one"):
        unpack_job(tmp_path / "broken.tar", tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def write_tar(path, members):
    with tarfile.open(path, "w") as tar:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if content is None:
                entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            else:
                entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content or b""))


def test_archives_that_lead_out_of_the_folder(tmp_path, job_dir):
    measure(job_dir)
    results = (job_dir / "results.jsonl").read_bytes()
    for name in ("../evil", "/evil", "a/../../evil", "a\\..\\evil"):
        write_tar(tmp_path / "evil.tar", [("results.jsonl", results), (name, b"x")])
        with zipfile.ZipFile(tmp_path / "evil.zip", "w") as archive:
            archive.writestr("results.jsonl", results)
            archive.writestr(name, b"x")
        for unpack in (
            lambda: unpack_results(tmp_path / "evil.tar", job_dir),
            lambda: unpack_results(tmp_path / "evil.zip", job_dir),
            lambda: unpack_job(tmp_path / "evil.tar", tmp_path / "there"),
        ):
            with pytest.raises(SpecError, match="leads out of the folder; nothing was unpacked"):
                unpack()
    write_tar(tmp_path / "link.tar", [("results.jsonl", None)])
    with pytest.raises(SpecError, match=r"'results\.jsonl' is neither a file nor a folder"):
        unpack_results(tmp_path / "link.tar", job_dir)
    assert not (tmp_path / "there").exists()
    assert not list(tmp_path.rglob("evil"))


def test_archives_that_are_none(tmp_path, job_dir):
    write_tar(tmp_path / "empty.tar", [("other", b"x")])
    write_tar(tmp_path / "two.tar", [("a/results.jsonl", b"x"), ("b/results.jsonl", b"x")])
    write_tar(
        tmp_path / "foreign.tar", [("results.jsonl", (IOS / "Tests/MeasuringTests/Golden/results.jsonl").read_bytes())]
    )
    for name, words in {
        "empty.tar": "has no results.jsonl in it; it should be one",
        "two.tar": "has 2 results.jsonl in it",
        "foreign.tar": "belongs to another job",
        "none.tar": "there is no such file",
    }.items():
        with pytest.raises(SpecError, match=words):
            unpack_results(tmp_path / name, job_dir)
    pack(job_dir, tmp_path / "job.tar")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("x")
    with pytest.raises(SpecError, match="holds something else: move it away, or rename the archive"):
        unpack_job(tmp_path / "job.tar", tmp_path / "full")
    assert (tmp_path / "full" / "mine").exists()


def test_damaged_archives_end_in_one_line(tmp_path, job_dir):
    measure(job_dir)
    pack(job_dir, tmp_path / "job.tar")
    with zipfile.ZipFile(tmp_path / "results.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(job_dir / "results.jsonl", "results.jsonl")
    refused = []
    for seed in range(60):
        draw = random.Random(seed)
        for name, unpack in (
            ("job.tar", lambda path: unpack_job(path, tmp_path / f"there-{seed}")),  # noqa: B023
            ("results.zip", lambda path: unpack_results(path, job_dir)),
        ):
            content = bytearray((tmp_path / name).read_bytes())
            for _ in range(draw.randrange(1, 30)):
                content[draw.randrange(min(len(content), 4000))] = draw.randrange(256)
            content = content[: draw.randrange(len(content))] if seed % 3 == 0 else content
            (tmp_path / "damaged").write_bytes(content)
            try:
                unpack(tmp_path / "damaged")
            except SpecError as error:
                refused.append((name, str(error)))
    assert len(refused) > 80
    assert not any("\n" in message for _, message in refused)
    jobs_refused = sum(name == "job.tar" for name, _ in refused)
    assert len(list(tmp_path.glob("there-*"))) == 60 - jobs_refused  # nothing stays of those
    for folder in tmp_path.glob("there-*"):
        assert read_job(folder) == read_job(job_dir)


# The project of the app


def parse_project(text):
    """Apple's older property lists: {key = value;}, (item,), texts with and without quotes."""
    tokens = re.findall(
        r'"(?:[^"\\]|\\.)*"|[{}()=;,]|[\w./$:<>-]+', re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.DOTALL)
    )
    position = 0

    def value():
        nonlocal position
        word = tokens[position]
        position += 1
        if word == "{":
            found = {}
            while tokens[position] != "}":
                key = value()
                expect("=")
                assert key not in found
                found[key] = value()
                expect(";")
            position += 1
            return found
        if word == "(":
            items = []
            while tokens[position] != ")":
                items.append(value())
                expect(",")
            position += 1
            return items
        assert word not in "{}()=;,"
        return word.strip('"')

    def expect(word):
        nonlocal position
        assert tokens[position] == word, tokens[position - 3 : position + 3]
        position += 1

    project = value()
    assert position == len(tokens)
    return project


def test_project_is_whole():
    project = parse_project((IOS / "App/Slimformer.xcodeproj/project.pbxproj").read_text())
    objects = project["objects"]
    is_id = re.compile(r"[0-9A-F]{24}").fullmatch
    used = {project["rootObject"]}

    def collect(value):
        if isinstance(value, dict):
            used.update(key for key in value if is_id(key))
            for inner in value.values():
                collect(inner)
        elif isinstance(value, list):
            for inner in value:
                collect(inner)
        elif is_id(value):
            used.add(value)

    for entry in objects.values():
        collect(entry)
    assert used == objects.keys()
    kinds = {entry["isa"]: entry for entry in objects.values()}
    assert (IOS / "App" / kinds["PBXFileSystemSynchronizedRootGroup"]["path"] / "MeasureApp.swift").exists()
    assert (IOS / "App" / kinds["XCLocalSwiftPackageReference"]["relativePath"] / "Package.swift").exists()
    products = {e["productName"] for e in objects.values() if e["isa"] == "XCSwiftPackageProductDependency"}
    package = (IOS / "Package.swift").read_text()
    assert products == set(re.findall(r'\.library\(name: "(\w+)"', package))
    settings = [e["buildSettings"] for e in objects.values() if "PRODUCT_NAME" in e.get("buildSettings", {})]
    assert len(settings) == 2
    assert settings[0] == settings[1]
    assert (IOS / "App" / settings[0]["INFOPLIST_FILE"]).exists()


def test_scheme_builds_the_target_of_the_project():
    project = parse_project((IOS / "App/Slimformer.xcodeproj/project.pbxproj").read_text())
    (target,) = (id_ for id_, entry in project["objects"].items() if entry["isa"] == "PBXNativeTarget")
    scheme = ElementTree.parse(IOS / "App/Slimformer.xcodeproj/xcshareddata/xcschemes/Slimformer.xcscheme")  # noqa: S314
    references = scheme.findall(".//BuildableReference")
    assert len(references) == 2
    assert {reference.get("BlueprintIdentifier") for reference in references} == {target}
