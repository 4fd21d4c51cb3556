import Foundation
import XCTest

@testable import Measuring

final class FileTests: XCTestCase {
    var folder: URL!

    override func setUpWithError() throws { folder = try temporaryFolder() }

    override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

    func says(_ expected: String, _ body: () throws -> Void, line: UInt = #line) {
        XCTAssertThrowsError(try body(), line: line) { XCTAssertEqual(reason($0), expected, line: line) }
    }

    // MARK: the job

    func testErrorsOfAJobNameThePlace() throws {
        let good = try String(contentsOf: golden.appendingPathComponent("job.json"), encoding: .utf8)
        _ = try Job(Data(good.utf8))
        let wrong: [(String, String, String)] = [
            ("\"format\": 1", "\"format\": 2", "format: 2 is not 1, which this app reads: build the app again"),
            ("\"rounds\": 2, ", "", "protocol.rounds: is missing"),
            ("\"rounds\": 2", "\"rounds\": 0", "protocol.rounds: 0.0 is not from 1.0 to 10000.0"),
            ("\"rounds\": 2", "\"rounds\": \"two\"", "protocol.rounds: is not a whole number"),
            ("\"idle_ms\": 300", "\"idle_ms\": null", "protocol.idle_ms: is not a number"),
            ("cpu_and_ne", "gpu", "compute_units: is not one of all, cpu_and_ne, cpu_and_gpu, cpu_only"),
            ("\"anchor\": \"a1\"", "\"anchor\": \"z9\"", "anchor: 'z9' is not among the items"),
            ("\"id\": \"b2\"", "\"id\": \"a1\"", "items[1].id: 'a1' is there twice"),
            ("\"id\": \"b2\"", "\"id\": 2", "items[1].id: is not a text"),
            ("packages/b2", "../b2", "items[1].package: '../b2.mlpackage' leads out of the job's folder"),
            ("0123456789abcdef", "../x", "job: '../x' is not a hash in hexadecimal digits"),
            ("{", "[", "is not JSON"),
        ]
        for (old, new, message) in wrong {
            XCTAssertTrue(good.contains(old))
            let first = good.range(of: old)!
            says("job.json: " + message) { _ = try Job(Data(good.replacingCharacters(in: first, with: new).utf8)) }
        }
        says("job.json can't be read") { _ = try Job(contentsOf: folder.appendingPathComponent("job.json")) }
    }

    // MARK: the order

    func testOrdersAreTheSameEverywhere() {
        // The project's Python tests have the same vectors; the first numbers are SplitMix64's published ones.
        var generator = SplitMix64(state: 1_234_567)
        XCTAssertEqual(
            (0..<3).map { _ in generator.next() },
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423])
        XCTAssertEqual(shuffled(Array(0..<10), seed: 0, round: 0, attempt: 0), orders[0])
        XCTAssertEqual(shuffled(Array(0..<10), seed: 7, round: 3, attempt: 1), orders[1])
        XCTAssertEqual(shuffled([Int](), seed: 1, round: 1, attempt: 1), [])
        XCTAssertEqual(Set((0..<50).map { shuffled(Array(0..<10), seed: 0, round: $0, attempt: 0) }).count, 50)
    }

    let orders = [[4, 9, 2, 5, 1, 7, 6, 0, 3, 8], [0, 8, 9, 7, 1, 4, 5, 2, 3, 6]]

    func testMedian() {
        XCTAssertEqual(median([3, 1, 2]), 2)
        XCTAssertEqual(median([4, 1, 2, 3]), 2.5)
        XCTAssertEqual(median([7]), 7)
    }

    // MARK: results

    func testResultsOfOthersAreRefused() throws {
        let file = folder.appendingPathComponent("results.jsonl")
        try ResultsFile(file, job: "ab", facts: facts).close()
        says("results.jsonl belongs to another job (ab): move it away") {
            _ = try ResultsFile(file, job: "cd", facts: facts)
        }
        var updated = facts
        updated.os = "iOS 18.1"
        says(
            "results.jsonl was begun on iPhone14,5 with iOS 17.7, this is iPhone14,5 with iOS 18.1: "
                + "figures of both can't be mixed; begin a new job"
        ) { _ = try ResultsFile(file, job: "ab", facts: updated) }
        (updated.os, updated.model) = (facts.os, "iPhone15,2")
        XCTAssertThrowsError(try ResultsFile(file, job: "ab", facts: updated))
        try ResultsFile(file, job: "ab", facts: facts).close()
    }

    func testEveryLineIsThereAtOnceAndATornOneIsCutOff() throws {
        let file = folder.appendingPathComponent("results.jsonl")
        var results = try ResultsFile(file, job: "ab", facts: facts)
        try results.write(Event(.failed, id: "x", reason: "a \"reason\"\nof two lines"))
        XCTAssertEqual(try events(file).map(\.event), [.device, .failed])
        try results.close()
        var torn = try Data(contentsOf: file)
        torn += Data(("{\"event\":\"failed\",\"id\":\"y\",\"rea" + String(repeating: "x", count: 3000)).utf8)
        try torn.write(to: file)
        results = try ResultsFile(file, job: "ab", facts: facts)
        XCTAssertEqual(results.record.failed, ["x"])
        try results.close()
        XCTAssertEqual(try events(file).map(\.event), [.device, .failed, .device])
    }

    func testLinesHoldNothingThatTellsOwners() throws {
        let file = folder.appendingPathComponent("results.jsonl")
        try ResultsFile(file, job: "ab", facts: facts).close()
        let line = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as! [String: Any]
        XCTAssertEqual(
            Set(line.keys), ["event", "model", "os", "cores", "memory_bytes", "app", "format", "job", "time"])
    }

    // MARK: what arrives

    func archive(_ entries: [(String, String, UInt8)], cut: Int? = nil, spoil: Int? = nil) throws {
        var bytes: [UInt8] = []
        for (name, content, kind) in entries {
            var header = [UInt8](repeating: 0, count: 512)
            func put(_ text: String, _ offset: Int) {
                header.replaceSubrange(offset..<offset + text.utf8.count, with: text.utf8)
            }
            put(name, 0)
            put(String(format: "%011o", content.utf8.count), 124)
            header[156] = kind
            put("ustar\u{0}00", 257)
            let sum = header.reduce(0) { $0 + Int($1) } + 8 * 32
            put(String(format: "%06o", sum), 148)
            header[155] = UInt8(ascii: " ")
            bytes += header + content.utf8 + [UInt8](repeating: 0, count: (512 - content.utf8.count % 512) % 512)
        }
        bytes += [UInt8](repeating: 0, count: 1024)
        if let cut { bytes.removeLast(bytes.count - cut) }
        if let spoil { bytes[spoil] ^= 1 }
        try Data(bytes).write(to: folder.appendingPathComponent("job.tar"))
    }

    func testAJobArrivesAndTakesThePlaceOfTheLastOne() throws {
        let job = try String(contentsOf: golden.appendingPathComponent("job.json"), encoding: .utf8)
        says("there is nothing to measure: job.tar is not in this app's documents") {
            _ = try JobFolder.find(in: folder)
        }
        let long = String(repeating: "x", count: 3000)
        try archive([
            ("job.json", job, 48), ("packages", "", 53), ("packages/b2.mlpackage/weight.bin", long, 48),
            ("results.jsonl", "", 0),
        ])
        let found = try JobFolder.find(in: folder)
        XCTAssertEqual(found.url.lastPathComponent, "0123456789abcdef")
        let weight = found.url.appendingPathComponent("packages/b2.mlpackage/weight.bin")
        XCTAssertEqual(try String(contentsOf: weight, encoding: .utf8), long)
        XCTAssertFalse(FileManager.default.fileExists(atPath: folder.appendingPathComponent("job.tar").path))

        try Data("mine".utf8).write(to: found.results)
        try archive([("job.json", job, 48)])  // the same again: what is there stays
        XCTAssertEqual(try String(contentsOf: try JobFolder.find(in: folder).results, encoding: .utf8), "mine")
        XCTAssertTrue(FileManager.default.fileExists(atPath: weight.path))

        try archive([("job.json", job.replacingOccurrences(of: "0123456789abcdef", with: "fedcba"), 48)])
        XCTAssertEqual(try JobFolder.find(in: folder).job.job, "fedcba")
        XCTAssertEqual(
            try FileManager.default.contentsOfDirectory(atPath: folder.appendingPathComponent("jobs").path), ["fedcba"])
        XCTAssertEqual(try JobFolder.find(in: folder).job.job, "fedcba")
    }

    /// Golden/job.tar was packed by the Mac's side: the Python tests read it too.
    func testReadsWhatTheMacPacks() throws {
        let file = folder.appendingPathComponent("job.tar")
        try FileManager.default.copyItem(at: golden.appendingPathComponent("job.tar"), to: file)
        let found = try JobFolder.find(in: folder)
        XCTAssertEqual(found.job.items.map(\.id), ["a1", String(repeating: "f", count: 64)])
        XCTAssertEqual(found.job.anchor, "a1")
        XCTAssertEqual(found.job.protocol.burstRuns, 3)
        for item in found.job.items {
            let weights = found.url.appendingPathComponent(item.package + "/Data/com.apple.CoreML/weights/weight.bin")
            XCTAssertEqual(try Data(contentsOf: weights).count, 1280)
        }
    }

    func testBadArchivesAreRefused() throws {
        for name in ["../evil", "/etc/evil", "a/../../evil"] {
            try archive([(name, "x", 48)])
            says("job.tar: '\(name)' leads out of the job's folder") { _ = try JobFolder.find(in: folder) }
        }
        try archive([("link", "", UInt8(ascii: "2"))])
        says("job.tar: 'link' is neither a file nor a folder") { _ = try JobFolder.find(in: folder) }
        try archive([("job.json", String(repeating: "x", count: 2000), 48)], cut: 1200)
        says("job.tar ends in the middle: copy it again") { _ = try JobFolder.find(in: folder) }
        try archive([("job.json", "x", 48)], spoil: 3)
        says("job.tar is damaged: copy it again") { _ = try JobFolder.find(in: folder) }
    }
}
