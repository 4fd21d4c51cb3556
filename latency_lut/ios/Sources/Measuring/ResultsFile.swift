// results.jsonl: every event is on the disk before the next is measured, and a start goes on with what stands there.
import Foundation

public final class ResultsFile {
    public private(set) var record = Record()
    private let handle: FileHandle

    /// Cuts off what a crash left of the last line. Throws where the file belongs to another job or another phone.
    public init(_ file: URL, job: String, facts: Facts, now: Date = Date()) throws {
        if !FileManager.default.fileExists(atPath: file.path) {
            guard FileManager.default.createFile(atPath: file.path, contents: nil) else {
                throw Problem("\(file.lastPathComponent) can't be written")
            }
        }
        handle = try FileHandle(forUpdating: file)
        let content = try handle.readToEnd() ?? Data()
        let whole = content.lastIndex(of: UInt8(ascii: "\n")).map { $0 + 1 } ?? 0
        try handle.truncate(atOffset: UInt64(whole))
        try handle.seek(toOffset: UInt64(whole))
        for line in content.prefix(whole).split(separator: UInt8(ascii: "\n")) {
            if let event = Event.decoded(line) { record.add(event) }
        }
        if let before = record.device {
            guard before.job == job else {
                throw Problem("results.jsonl belongs to another job (\((before.job ?? "").prefix(12))): move it away")
            }
            guard before.model == facts.model, before.os == facts.os else {
                throw Problem(
                    "results.jsonl was begun on \(before.model ?? "?") with \(before.os ?? "?"), "
                        + "this is \(facts.model) with \(facts.os): figures of both can't be mixed; begin a new job")
            }
        }
        try write(.device(facts, job: job, time: now))
    }

    public func write(_ event: Event) throws {
        try handle.write(contentsOf: Event.encoded(event))
        try handle.synchronize()
        record.add(event)
    }

    public func close() throws {
        try handle.close()
    }
}
