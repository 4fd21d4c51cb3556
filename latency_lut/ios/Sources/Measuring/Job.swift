// What is to be measured, as job.json says it. docs/latency.md has the format.
import Foundation

public enum ComputeUnits: String, Codable, CaseIterable {
    case all
    case cpuAndNeuralEngine = "cpu_and_ne"
    case cpuAndGPU = "cpu_and_gpu"
    case cpuOnly = "cpu_only"
}

public struct Job: Decodable, Equatable {
    public static let format = 1

    public struct Item: Decodable, Equatable {
        public var id: String
        /// Where it lies in the job's folder.
        public var package: String
        /// Whether it is also measured without gaps.
        public var sustained: Bool?
    }

    /// Fields that a phone has no use for (the share of contention) are left unread.
    public struct Rules: Decodable, Equatable {
        public var rounds: Int
        public var warmUp: Int
        public var burstRuns: Int
        /// A burst has at least `burstRuns` runs, and more until this time has passed.
        public var burstMs: Double
        public var idleMs: Double
        public var sustainedRuns: Int
        public var drift: Double
        public var roundRepeats: Int
        public var burstRepeats: Int
        public var seed: Int
    }

    public var format: Int
    /// The job's name: the hash that the Mac's side gave it.
    public var job: String
    public var computeUnits: ComputeUnits
    public var anchor: String?
    public var `protocol`: Rules
    public var items: [Item]
}

/// An error for a person, in one line.
public struct Problem: Error, CustomStringConvertible, Equatable {
    public let description: String

    public init(_ description: String) {
        self.description = description
    }
}

/// The first line of any error, without the paths of this phone.
public func reason(_ error: Error) -> String {
    let text = (error as? Problem)?.description ?? "\(error.localizedDescription) (\(error))"
    let line = text.split(separator: "\n").first.map(String.init) ?? "unknown error"
    return String(line.replacingOccurrences(of: NSHomeDirectory(), with: "~").prefix(300))
}

/// Whether something could not be written because the storage is full.
func isOutOfSpace(_ error: Error) -> Bool {
    let error = error as NSError
    if error.domain == NSPOSIXErrorDomain, error.code == Int(ENOSPC) { return true }
    if error.domain == NSCocoaErrorDomain, error.code == CocoaError.fileWriteOutOfSpace.rawValue { return true }
    return (error.userInfo[NSUnderlyingErrorKey] as? Error).map(isOutOfSpace) ?? false
}

extension Job {
    private struct Version: Decodable {
        var format: Int
    }

    public init(contentsOf file: URL) throws {
        guard let data = try? Data(contentsOf: file) else { throw Problem("\(file.lastPathComponent) can't be read") }
        try self.init(data)
    }

    public init(_ data: Data) throws {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do {
            let version = try decoder.decode(Version.self, from: data).format
            guard version == Job.format else {
                throw Problem(
                    "job.json: format: \(version) is not \(Job.format), which this app reads: build the app again")
            }
            self = try decoder.decode(Job.self, from: data)
        } catch let error as DecodingError {
            throw Problem("job.json: " + explained(error))
        }
        try check()
    }

    private func check() throws {
        func within(_ name: String, _ value: Double, _ limits: ClosedRange<Double>) throws {
            guard limits.contains(value) else {
                throw Problem(
                    "job.json: protocol.\(name): \(value) is not from \(limits.lowerBound) to \(limits.upperBound)")
            }
        }
        let rules = `protocol`
        try within("rounds", Double(rules.rounds), 1...10_000)
        try within("warm_up", Double(rules.warmUp), 0...10_000)
        try within("burst_runs", Double(rules.burstRuns), 1...100_000)
        try within("burst_ms", rules.burstMs, 0...600_000)
        try within("idle_ms", rules.idleMs, 0...600_000)
        try within("sustained_runs", Double(rules.sustainedRuns), 0...100_000)
        try within("drift", rules.drift, 0...10)
        try within("round_repeats", Double(rules.roundRepeats), 0...100)
        try within("burst_repeats", Double(rules.burstRepeats), 0...100)
        try within("seed", Double(rules.seed), 0...2_147_483_647)
        guard !job.isEmpty, job.allSatisfy({ $0.isHexDigit }) else {
            throw Problem("job.json: job: '\(job.prefix(80))' is not a hash in hexadecimal digits")
        }
        guard !items.isEmpty else { throw Problem("job.json: items: there are none") }
        var seen = Set<String>()
        for (index, item) in items.enumerated() {
            guard seen.insert(item.id).inserted else {
                throw Problem("job.json: items[\(index)].id: '\(item.id)' is there twice")
            }
            guard isInside(item.package) else {
                throw Problem("job.json: items[\(index)].package: '\(item.package)' leads out of the job's folder")
            }
        }
        if let anchor, !seen.contains(anchor) {
            throw Problem("job.json: anchor: '\(anchor)' is not among the items")
        }
    }
}

/// Whether a relative path stays inside the folder that it starts from.
func isInside(_ path: String) -> Bool {
    let parts = path.split(separator: "/", omittingEmptySubsequences: false)
    return !path.isEmpty && !path.contains("\0") && !parts.contains("..") && !path.hasPrefix("/")
}

private func explained(_ error: DecodingError) -> String {
    func place(_ path: [CodingKey], _ last: CodingKey? = nil) -> String {
        let names = (path + (last.map { [$0] } ?? [])).map {
            $0.intValue.map { "[\($0)]" } ?? ".\(snakeCase($0.stringValue))"
        }
        return String(names.joined().drop { $0 == "." })
    }
    switch error {
    case .keyNotFound(let key, let context):
        return "\(place(context.codingPath, key)): is missing"
    case .typeMismatch(let type, let context), .valueNotFound(let type, let context):
        return "\(place(context.codingPath)): is not \(words(type))"
    case .dataCorrupted(let context) where context.codingPath.last.map { snakeCase($0.stringValue) } == "compute_units":
        return "compute_units: is not one of \(ComputeUnits.allCases.map(\.rawValue).joined(separator: ", "))"
    case .dataCorrupted(let context) where !context.codingPath.isEmpty:
        return "\(place(context.codingPath)): \(context.debugDescription)"
    default:
        return "is not JSON"
    }
}

private func words(_ type: Any.Type) -> String {
    switch "\(type)" {
    case "Int": return "a whole number"
    case "Double": return "a number"
    case "String": return "a text"
    case "Bool": return "true or false"
    case let name where name.hasPrefix("Array"): return "a list"
    default: return "an object with fields"
    }
}

private func snakeCase(_ name: String) -> String {
    name.reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
}
