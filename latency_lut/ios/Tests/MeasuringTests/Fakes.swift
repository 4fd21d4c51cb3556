// A made-up phone with a clock of its own. The Python tests have the same one; both are compared with Golden/.
import Foundation

@testable import Measuring

struct Script: Decodable {
    var baseNs: [String: UInt64]
    /// Items that can't be compiled.
    var broken: [String] = []
    /// From which load to which, the phone takes how much longer.
    var slow: [[Double]] = []
    /// In the first timed run after these loads, the phone becomes warm, and is so until 10 s of sleep have passed.
    var warm: [Int] = []
    /// In the first timed run after these loads, the app leaves the front for a moment.
    var left: [Int] = []
}

final class FakePhone: Runner, Timepiece, Conditions {
    var script: Script
    let warmUp: Int
    var isLowPower = false
    var isActive = true
    var interruptions = 0
    private(set) var loads = 0
    private(set) var isLoaded = false
    private(set) var sleptMs = 0.0
    private var now: UInt64 = 1_000_000_000
    private var warmMs = 0.0
    private var id = ""
    private var runs = 0
    var onLoad: (FakePhone, String) -> Void = { _, _ in }

    init(_ script: Script, warmUp: Int) {
        (self.script, self.warmUp) = (script, warmUp)
    }

    func nanoseconds() -> UInt64 { now }

    func sleep(milliseconds: Double) async {
        now += UInt64(milliseconds * 1e6)
        warmMs = max(0, warmMs - milliseconds)
        sleptMs += milliseconds
    }

    var thermal: Thermal { warmMs > 0 ? .fair : .nominal }

    func load(_ package: URL) async throws -> Loaded {
        id = package.deletingPathExtension().lastPathComponent
        (loads, runs) = (loads + 1, 0)
        onLoad(self, id)
        now += 12_000_000
        if script.broken.contains(id) { throw Problem("it can't be compiled") }
        isLoaded = true
        return Loaded(compileMs: 5, loadMs: 7)
    }

    func placement() async -> Placement? {
        var placement = Placement()
        for _ in 0..<3 { placement.add("neural_engine", cost: 0.25) }
        placement.add("cpu", cost: nil)
        return placement
    }

    func predict() throws {
        let slow = script.slow.first { Int($0[0]) <= loads && loads <= Int($0[1]) }
        now += UInt64(Double(script.baseNs[id]! + UInt64(1000 * (runs % 3))) * (slow?[2] ?? 1))
        runs += 1
        guard runs == warmUp + 1 else { return }
        if script.warm.contains(loads) { warmMs = 10_000 }
        if script.left.contains(loads) { interruptions += 1 }
    }

    func release() { isLoaded = false }
}

let golden = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")

func goldenScript() throws -> Script {
    let decoder = JSONDecoder()
    decoder.keyDecodingStrategy = .convertFromSnakeCase
    return try decoder.decode(Script.self, from: Data(contentsOf: golden.appendingPathComponent("script.json")))
}

func goldenJob() throws -> Job { try Job(contentsOf: golden.appendingPathComponent("job.json")) }

let facts = Facts(model: "iPhone14,5", os: "iOS 17.7", cores: 6, memoryBytes: 4_000_000_000, app: "1.0")

func temporaryFolder() throws -> URL {
    let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    return folder
}

/// One start of the app on the made-up phone.
@discardableResult
func start(_ job: Job, _ phone: FakePhone, _ file: URL) async throws -> Outcome {
    let results = try ResultsFile(file, job: job.job, facts: facts, now: Date(timeIntervalSince1970: 0))
    defer { try? results.close() }
    let run = MeasuringRun(
        job, in: URL(fileURLWithPath: "/nowhere"), runner: phone, timepiece: phone, conditions: phone, results: results)
    return try await run.run()
}

func events(_ file: URL) throws -> [Event] {
    try Data(contentsOf: file).split(separator: UInt8(ascii: "\n")).map { try XCTUnwrapped(Event.decoded($0)) }
}

func XCTUnwrapped<T>(_ value: T?) throws -> T {
    guard let value else { throw Problem("nil where a value was expected") }
    return value
}
