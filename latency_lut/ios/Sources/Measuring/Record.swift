// What has been measured, as the lines of results.jsonl tell it. Measuring asks this and nothing else where it stands,
// so that a continued run and an uninterrupted one do the same.

public struct Record {
    struct Key: Hashable {
        var id: String
        var round: Int
        var attempt: Int
        var place: Int?
    }

    private(set) var device: Event?
    private(set) var failed = Set<String>()
    private(set) var placed = Set<String>()
    private(set) var sustained = Set<String>()
    public private(set) var isFinished = false
    public private(set) var bursts = 0
    private var medians: [Key: Double] = [:]
    private var repeated: [Int: Int] = [:]
    private var accepted = Set<Int>()
    private var begun: [String: Int] = [:]

    public init() {}

    public mutating func add(_ event: Event) {
        switch event.event {
        case .device: device = event
        case .finished: isFinished = true
        case .waiting, .stopped: break
        case .placement: if let id = event.id { placed.insert(id) }
        case .begin: if let id = event.id { begun[id, default: 0] += 1 }
        case .failed:
            guard let id = event.id else { return }
            failed.insert(id)
            begun[id] = nil
        case .sustained:
            guard let id = event.id else { return }
            begun[id] = nil
            if event.counts == true { sustained.insert(id) }
        case .burst:
            guard let id = event.id, let round = event.round, let attempt = event.attempt else { return }
            begun[id] = nil
            guard event.counts == true, let samples = event.samplesMs, !samples.isEmpty else { return }
            bursts += 1
            medians[Key(id: id, round: round, attempt: attempt, place: event.place)] = median(samples)
        case .round:
            guard let round = event.round else { return }
            if event.accepted == true { accepted.insert(round) } else { repeated[round, default: 0] += 1 }
        }
    }

    func ms(of key: Key) -> Double? { medians[key] }

    func isClosed(round: Int) -> Bool { accepted.contains(round) }

    /// The number of the attempt that is under way or comes next.
    func attempt(round: Int) -> Int { repeated[round] ?? 0 }

    /// How often the app ended while this item was under way.
    func ends(in id: String) -> Int { begun[id] ?? 0 }
}
