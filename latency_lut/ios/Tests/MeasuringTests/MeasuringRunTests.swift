import Foundation
import XCTest

@testable import Measuring

final class MeasuringRunTests: XCTestCase {
    var folder: URL!
    var file: URL { folder.appendingPathComponent("results.jsonl") }

    override func setUpWithError() throws { folder = try temporaryFolder() }

    override func tearDownWithError() throws { try FileManager.default.removeItem(at: folder) }

    func phone(_ script: Script? = nil) throws -> FakePhone {
        var plain = try goldenScript()
        (plain.slow, plain.warm, plain.left) = ([], [], [])
        return FakePhone(script ?? plain, warmUp: 2)
    }

    /// The whole protocol on a difficult phone, line by line. SLIMFORMER_GOLDEN=1 writes the file anew.
    func testGolden() async throws {
        let outcome = try await start(goldenJob(), phone(goldenScript()), file)
        XCTAssertEqual(outcome, .finished)
        let expected = golden.appendingPathComponent("results.jsonl")
        if ProcessInfo.processInfo.environment["SLIMFORMER_GOLDEN"] == "1" {
            try Data(contentsOf: file).write(to: expected)
        }
        XCTAssertEqual(
            try String(contentsOf: file, encoding: .utf8), try String(contentsOf: expected, encoding: .utf8))
    }

    /// What a run has found, whatever it took: a killed and continued one must have the same.
    func found(_ file: URL) throws -> [String] {
        try events(file).filter { [.burst, .sustained, .round, .failed, .placement].contains($0.event) }
            .map { String(decoding: try Event.encoded($0), as: UTF8.self) }.sorted()
    }

    func testKilledAnywhereAndContinued() async throws {
        let job = try goldenJob()
        try await start(job, phone(), file)
        let whole = try Data(contentsOf: file)
        let expected = try found(file)
        let ends = [0] + whole.indices.filter { whole[$0] == UInt8(ascii: "\n") }.map { $0 + 1 }
        for (end, next) in zip(ends, ends.dropFirst()) {
            for cut in [end, (end + next) / 2, next - 1] {
                let killed = folder.appendingPathComponent("killed-\(cut).jsonl")
                try whole.prefix(cut).write(to: killed)
                let outcome = try await start(job, phone(), killed)
                XCTAssertEqual(outcome, .finished)
                XCTAssertEqual(try found(killed), expected, "killed at byte \(cut)")
                try FileManager.default.removeItem(at: killed)
            }
        }
        XCTAssertGreaterThan(ends.count, 20)
    }

    func testFinishedStaysAsItIs() async throws {
        let job = try goldenJob()
        try await start(job, phone(), file)
        let before = try found(file)
        let again = try phone()
        let outcome = try await start(job, again, file)
        XCTAssertEqual(outcome, .finished)
        XCTAssertEqual(again.loads, 0)
        XCTAssertEqual(try found(file), before)
    }

    func testRoundsAreInTheirOrderWithTheAnchorAtBothEnds() async throws {
        var job = try goldenJob()
        job.items = [job.items[0]] + (0..<90).map { Job.Item(id: "x\($0)", package: "packages/b2.mlpackage") }
        try await start(job, phone(), file)
        let first = try events(file).filter { $0.event == .burst && $0.round == 0 }
        let expected = shuffled(Array(job.items.dropFirst()), seed: 7, round: 0, attempt: 0).map(\.id)
        XCTAssertEqual(first.compactMap { $0.id == "a1" ? nil : $0.id }, expected)
        XCTAssertEqual(first.indices.filter { first[$0].id == "a1" }, [0, 41, 82, 93])  // after 40, 80 and 90 others
        XCTAssertEqual(first.compactMap(\.place), [0, 1, 2, 3])
    }

    func testDriftRepeatsTheRoundAndIsKeptAfterTheLastAttempt() async throws {
        var script = try goldenScript()
        (script.warm, script.left) = ([], [])
        script.slow = [[3, 1000, 1.5]]  // slower for good after the second load: the first attempt alone has drifted
        try await start(goldenJob(), phone(script), file)
        var rounds = try events(file).filter { $0.event == .round }
        XCTAssertEqual(rounds.map(\.accepted), [false, true, true])
        XCTAssertEqual(rounds.map(\.drifted), [true, false, false])
        XCTAssertEqual(rounds[0].anchorMs?.count, 3)  // looked at twice before it was believed

        script.slow = [[5, 6, 1.5], [10, 11, 1.5]]  // the anchor's loads at the end of both attempts
        let other = folder.appendingPathComponent("other.jsonl")
        try await start(goldenJob(), phone(script), other)
        rounds = try events(other).filter { $0.event == .round && $0.round == 0 }
        XCTAssertEqual(rounds.map(\.accepted), [false, true])
        XCTAssertEqual(rounds.map(\.drifted), [true, true])
    }

    func testOneOddBurstOfTheAnchorIsNoDrift() async throws {
        var script = try goldenScript()
        (script.warm, script.left, script.slow) = ([], [], [[5, 5, 1.5]])  // the fifth load is the anchor's at the end
        try await start(goldenJob(), phone(script), file)
        let round = try XCTUnwrapped(events(file).first { $0.event == .round })
        XCTAssertEqual(round.anchorMs?.count, 3)
        XCTAssertEqual(round.accepted, true)
        XCTAssertEqual(round.drifted, false)
    }

    func testLowPowerStopsAndContinues() async throws {
        let whole = folder.appendingPathComponent("whole.jsonl")
        try await start(goldenJob(), phone(), whole)
        for load in [4, 10] {  // in a burst, and in the sustained runs
            let file = folder.appendingPathComponent("\(load).jsonl")
            let tired = try phone()
            tired.onLoad = { phone, _ in phone.isLowPower = phone.loads == load }
            let outcome = try await start(goldenJob(), tired, file)
            XCTAssertEqual(outcome, .stopped("low power mode"))
            XCTAssertEqual(try events(file).last?.event, .stopped)
            XCTAssertEqual(try events(file).filter { $0.lowPower == true }.map(\.counts), [false])
            let rest = try await start(goldenJob(), phone(), file)
            XCTAssertEqual(rest, .finished)
            // What was measured in low power mode was measured again.
            XCTAssertEqual(try found(file).filter { !$0.contains("\"counts\":false") }, try found(whole))
        }
    }

    func testWaitsWhileWarmAndGivesUpInTheEnd() async throws {
        var script = try goldenScript()
        (script.slow, script.left, script.warm) = ([], [], [3])
        try await start(goldenJob(), phone(script), file)
        XCTAssertEqual(try events(file).filter { $0.event == .waiting }.map(\.reason), ["thermal fair"])
        XCTAssertEqual(try events(file).filter { $0.counts == false }.count, 1)

        let away = try phone()
        away.isActive = false
        let outcome = try await start(goldenJob(), away, folder.appendingPathComponent("away.jsonl"))
        XCTAssertEqual(outcome, .stopped("the app is not in front for 30 minutes"))
        XCTAssertEqual(away.loads, 0)
    }

    func testABurstThatNeverCountsStops() async throws {
        var script = try goldenScript()
        (script.slow, script.warm, script.left) = ([], [], Array(1...1000))
        let outcome = try await start(goldenJob(), phone(script), file)
        XCTAssertEqual(outcome, .stopped("the phone was too warm or in use during 3 measurements of one item"))
    }

    func testAnItemInWhichTheAppEndsTwiceIsLeftOut() async throws {
        let job = try goldenJob()
        for _ in 0..<2 {
            let results = try ResultsFile(file, job: job.job, facts: facts)
            try results.write(Event(.begin, id: "b2"))
            try results.close()
        }
        try await start(job, phone(), file)
        let failed = try events(file).filter { $0.event == .failed }
        XCTAssertEqual(
            Set(failed.map { "\($0.id!): \($0.reason!)" }),
            ["b2: the app ended 2 times in it", "c3: it can't be compiled"])
        XCTAssertFalse(try events(file).contains { $0.event == .burst && $0.id == "b2" })
    }

    func testWithoutAnAnchorAndWithABrokenOne() async throws {
        var job = try goldenJob()
        job.anchor = nil
        job.protocol.sustainedRuns = 0
        try await start(job, phone(), file)
        XCTAssertEqual(try events(file).filter { $0.event == .round }.map(\.anchorMs), [nil, nil])
        XCTAssertFalse(try events(file).contains { $0.event == .sustained })

        job.anchor = "c3"
        let outcome = try await start(job, phone(), folder.appendingPathComponent("broken.jsonl"))
        XCTAssertEqual(outcome, .stopped("the anchor can't be measured"))
    }

    func testAFullPhoneStopsInsteadOfFailingEveryItem() async throws {
        final class Full: Runner {
            func load(_ package: URL) async throws -> Loaded {
                let inner = NSError(domain: NSPOSIXErrorDomain, code: Int(ENOSPC))
                throw NSError(domain: "com.apple.CoreML", code: 0, userInfo: [NSUnderlyingErrorKey: inner])
            }
            func placement() async -> Placement? { nil }
            func predict() throws {}
            func release() {}
        }
        let plain = try phone()
        let results = try ResultsFile(file, job: "ab", facts: facts)
        let outcome = try await MeasuringRun(
            goldenJob(), in: folder, runner: Full(), timepiece: plain, conditions: plain, results: results
        ).run()
        XCTAssertEqual(outcome, .stopped("no space left on the phone"))
    }

    func testALongBurstHasMoreRuns() async throws {
        var job = try goldenJob()
        job.protocol.burstMs = 10
        try await start(job, phone(), file)
        let counts = try events(file).filter { $0.event == .burst && $0.id == "a1" }.map { $0.samplesMs!.count }
        XCTAssertEqual(Set(counts), [10])  // of about 1.001 ms
    }

    func testAGapAfterEachMeasurement() async throws {
        let resting = try phone()
        try await start(goldenJob(), resting, file)
        let measured = try events(file).filter { $0.event == .burst || $0.event == .sustained }.count
        XCTAssertEqual(resting.sleptMs, 300 * Double(measured))
    }

    func testNothingStaysLoaded() async throws {
        let quiet = try phone()
        quiet.onLoad = { phone, _ in XCTAssertFalse(phone.isLoaded) }
        try await start(goldenJob(), quiet, file)
        XCTAssertFalse(quiet.isLoaded)
    }
}
