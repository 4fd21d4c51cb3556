// One line of results.jsonl. Which fields a line has follows from `event`: docs/latency.md lists them.
import Foundation

public struct Event: Codable, Equatable {
    public enum Kind: String, Codable {
        case device, begin, burst, sustained, placement, round, failed, waiting, stopped, finished
    }

    public var event: Kind
    public var id: String?
    public var round: Int?
    public var attempt: Int?
    /// For the anchor: which of its bursts of the attempt.
    public var place: Int?

    public var samplesMs: [Double]?
    public var compileMs: Double?
    public var loadMs: Double?
    public var thermalBefore: Thermal?
    public var thermalAfter: Thermal?
    public var lowPower: Bool?
    public var interrupted: Bool?
    /// Whether the phone was in a state that the figure holds for. Others are measured again.
    public var counts: Bool?

    public var operations: [String: Int]?
    public var cost: [String: Double]?

    public var anchorMs: [Double]?
    public var accepted: Bool?
    public var drifted: Bool?

    public var reason: String?

    public var model: String?
    public var os: String?
    public var cores: Int?
    public var memoryBytes: UInt64?
    public var app: String?
    public var format: Int?
    public var job: String?
    public var time: String?

    public init(_ event: Kind, id: String? = nil, reason: String? = nil) {
        (self.event, self.id, self.reason) = (event, id, reason)
    }

    static func device(_ facts: Facts, job: String, time: Date) -> Event {
        var event = Event(.device)
        (event.model, event.os, event.cores) = (facts.model, facts.os, facts.cores)
        (event.memoryBytes, event.app) = (facts.memoryBytes, facts.app)
        (event.format, event.job) = (Job.format, job)
        event.time = ISO8601DateFormatter().string(from: time)
        return event
    }

    static func encoded(_ event: Event) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return try encoder.encode(event) + Data("\n".utf8)
    }

    static func decoded(_ line: Data) -> Event? {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try? decoder.decode(Event.self, from: line)
    }
}
