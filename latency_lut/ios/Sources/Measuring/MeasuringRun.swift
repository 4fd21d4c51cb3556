// The protocol: rounds over all items in random order, in bursts with idle gaps, with an anchor that shows drift.
import Foundation

public enum Outcome: Equatable {
    case finished
    case stopped(String)
}

public struct Standing: Equatable {
    public var done: Int
    public var total: Int
    public var text: String
}

/// Ends the run; it can be continued when the reason is gone.
private struct Stop: Error {
    var reason: String
}

public final class MeasuringRun {
    /// Items after which the anchor is looked at again, so that a drift is found before the end of a long round.
    static let checkedEvery = 40
    /// How often the app may end in the same item before that is left out.
    static let endsAllowed = 2
    static let pollMs = 5_000.0
    static let patienceMs = 30 * 60_000.0

    private let job: Job
    private let rules: Job.Rules
    private let folder: URL
    private let runner: Runner
    private let timepiece: Timepiece
    private let conditions: Conditions
    private let results: ResultsFile
    private let tell: (Standing) -> Void

    public init(
        _ job: Job, in folder: URL, runner: Runner, timepiece: Timepiece, conditions: Conditions, results: ResultsFile,
        tell: @escaping (Standing) -> Void = { _ in }
    ) {
        (self.job, self.rules, self.folder) = (job, job.protocol, folder)
        (self.runner, self.timepiece, self.conditions) = (runner, timepiece, conditions)
        (self.results, self.tell) = (results, tell)
    }

    public func run() async throws -> Outcome {
        if results.record.isFinished { return .finished }
        do {
            for round in 0..<rules.rounds {
                while !results.record.isClosed(round: round) {
                    try await measure(round: round, attempt: results.record.attempt(round: round))
                }
            }
            try await measureSustained()
        } catch let stop as Stop {
            try results.write(Event(.stopped, reason: stop.reason))
            return .stopped(stop.reason)
        }
        try results.write(Event(.finished))
        return .finished
    }

    // MARK: a round

    private func measure(round: Int, attempt: Int) async throws {
        let items = job.items.filter { $0.id != job.anchor }
        let order = shuffled(items, seed: rules.seed, round: round, attempt: attempt)
        let mayDrift = attempt == rules.roundRepeats
        var anchor = try await AnchorWatch(self, round: round, attempt: attempt)
        for (index, item) in order.enumerated() {
            if index > 0, index % Self.checkedEvery == 0 { try await anchor?.check() }
            if anchor?.hasDrifted == true, !mayDrift { break }
            try await burst(item, round: round, attempt: attempt)
        }
        if anchor?.hasDrifted == false || mayDrift { try await anchor?.check() }
        let drifted = anchor?.hasDrifted ?? false
        var event = Event(.round)
        (event.round, event.attempt, event.anchorMs) = (round, attempt, anchor?.medians)
        (event.accepted, event.drifted) = (!drifted || mayDrift, drifted)
        try results.write(event)
    }

    /// The anchor's medians within an attempt: it has drifted when two in a row are away from the first, so that one
    /// odd burst is not taken for a slower phone.
    private struct AnchorWatch {
        private(set) var medians: [Double]
        private(set) var hasDrifted = false
        private let run: MeasuringRun
        private let item: Job.Item
        private let round: Int
        private let attempt: Int

        init?(_ run: MeasuringRun, round: Int, attempt: Int) async throws {
            guard let item = run.job.items.first(where: { $0.id == run.job.anchor }) else { return nil }
            (self.run, self.item, self.round, self.attempt) = (run, item, round, attempt)
            medians = [try await run.anchorBurst(item, round: round, attempt: attempt, place: 0)]
        }

        mutating func check() async throws {
            for _ in 0..<2 {
                let ms = try await run.anchorBurst(item, round: round, attempt: attempt, place: medians.count)
                let ratio = max(ms, medians[0]) / min(ms, medians[0])
                medians.append(ms)
                if ratio <= 1 + run.rules.drift { return }
            }
            hasDrifted = true
        }
    }

    private func anchorBurst(_ item: Job.Item, round: Int, attempt: Int, place: Int) async throws -> Double {
        try await burst(item, round: round, attempt: attempt, place: place)
        let key = Record.Key(id: item.id, round: round, attempt: attempt, place: place)
        guard let ms = results.record.ms(of: key) else { throw Stop(reason: "the anchor can't be measured") }
        return ms
    }

    // MARK: one item

    /// Measures what isn't in the record yet; afterwards it is there, or the item has failed.
    private func burst(_ item: Job.Item, round: Int, attempt: Int, place: Int? = nil) async throws {
        let key = Record.Key(id: item.id, round: round, attempt: attempt, place: place)
        guard results.record.ms(of: key) == nil else { return }
        let attempts = attempt > 0 ? " (attempt \(attempt + 1))" : ""
        var blank = Event(.burst, id: item.id)
        (blank.round, blank.attempt, blank.place) = (round, attempt, place)
        try await measure(item, blank, "round \(round + 1) of \(rules.rounds)\(attempts)") { samples, started in
            samples.count < self.rules.burstRuns || self.milliseconds(since: started) < self.rules.burstMs
        }
    }

    private func measureSustained() async throws {
        guard rules.sustainedRuns > 0 else { return }
        for item in job.items where item.sustained == true || item.id == job.anchor {
            guard !results.record.sustained.contains(item.id) else { continue }
            try await measure(item, Event(.sustained, id: item.id), "sustained runs") { samples, _ in
                samples.count < self.rules.sustainedRuns
            }
        }
    }

    private func measure(
        _ item: Job.Item, _ blank: Event, _ what: String, while wanted: ([Double], UInt64) -> Bool
    ) async throws {
        if results.record.failed.contains(item.id) { return }
        guard results.record.ends(in: item.id) < Self.endsAllowed else {
            return try results.write(
                Event(.failed, id: item.id, reason: "the app ended \(Self.endsAllowed) times in it"))
        }
        let total = rules.rounds * (job.items.count + (job.anchor == nil ? 0 : 1))
        tell(Standing(done: min(results.record.bursts, total), total: total, text: "\(what): \(item.id.prefix(8))"))
        for _ in 0...rules.burstRepeats {
            try await waitUntilCalm()
            var begin = blank
            begin.event = .begin
            try results.write(begin)
            let event: Event
            do {
                event = try await measured(item, blank, wanted)
            } catch {
                runner.release()
                if isOutOfSpace(error) { throw Stop(reason: "no space left on the phone") }
                return try results.write(Event(.failed, id: item.id, reason: reason(error)))
            }
            try results.write(event)
            try await timepiece.sleep(milliseconds: rules.idleMs)
            if event.counts == true { return }
        }
        throw Stop(reason: "the phone was too warm or in use during \(rules.burstRepeats + 1) measurements of one item")
    }

    private func measured(
        _ item: Job.Item, _ blank: Event, _ wanted: ([Double], UInt64) -> Bool
    ) async throws -> Event {
        let loaded = try await runner.load(folder.appendingPathComponent(item.package))
        if !results.record.placed.contains(item.id), let placement = await runner.placement() {
            var event = Event(.placement, id: item.id)
            (event.operations, event.cost) = (placement.operations, placement.cost)
            try results.write(event)
        }
        for _ in 0..<rules.warmUp { try runner.predict() }
        var event = blank
        (event.compileMs, event.loadMs) = (loaded.compileMs, loaded.loadMs)
        let interruptions = conditions.interruptions
        event.thermalBefore = conditions.thermal
        let started = timepiece.nanoseconds()
        var samples: [Double] = []
        repeat {
            let before = timepiece.nanoseconds()
            try runner.predict()
            samples.append(milliseconds(since: before))
        } while wanted(samples, started)
        event.samplesMs = samples
        event.thermalAfter = conditions.thermal
        event.lowPower = conditions.isLowPower
        event.interrupted = conditions.interruptions != interruptions || !conditions.isActive
        // A phone may warm up in sustained runs: that is what they show.
        let isCool = event.thermalBefore == .nominal && (event.thermalAfter == .nominal || event.event == .sustained)
        event.counts = isCool && event.lowPower == false && event.interrupted == false
        runner.release()
        return event
    }

    private func milliseconds(since start: UInt64) -> Double {
        Double(timepiece.nanoseconds() - start) / 1e6
    }

    private func waitUntilCalm() async throws {
        var waited = 0.0
        var told: String?
        while true {
            if conditions.isLowPower { throw Stop(reason: "low power mode") }
            guard conditions.thermal != .nominal || !conditions.isActive else { return }
            let cause = conditions.isActive ? "thermal \(conditions.thermal.rawValue)" : "the app is not in front"
            guard waited < Self.patienceMs else { throw Stop(reason: "\(cause) for \(Int(waited / 60_000)) minutes") }
            if cause != told { try results.write(Event(.waiting, reason: cause)) }
            told = cause
            tell(Standing(done: 0, total: 0, text: "waiting: \(cause)"))
            try await timepiece.sleep(milliseconds: Self.pollMs)
            waited += Self.pollMs
        }
    }
}
