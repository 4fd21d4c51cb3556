// Unpacks the archive that the Mac's side sends: plain ustar with files and folders. One file travels more surely than
// a folder of thousands.
import Foundation

enum Tar {
    private static let block = 512
    private static let chunk = 1 << 20

    /// Everything goes below `folder`. Throws where an entry would lead out of it, or where the archive is damaged.
    static func unpack(_ archive: URL, into folder: URL) throws {
        let handle = try FileHandle(forReadingFrom: archive)
        defer { try? handle.close() }
        while true {
            let header = try exactly(block, from: handle)
            if header.allSatisfy({ $0 == 0 }) { return }
            guard try number(header, 148, 8) == checksum(header) else {
                throw Problem("job.tar is damaged: copy it again")
            }
            let prefix = text(header, 345, 155)
            let path = prefix.isEmpty ? text(header, 0, 100) : prefix + "/" + text(header, 0, 100)
            guard isInside(path) else { throw Problem("job.tar: '\(path)' leads out of the job's folder") }
            let target = folder.appendingPathComponent(path)
            switch header[header.startIndex + 156] {
            case UInt8(ascii: "5"):
                try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
            case UInt8(ascii: "0"), 0:
                try copy(try number(header, 124, 12), from: handle, to: target)
            default:
                throw Problem("job.tar: '\(path)' is neither a file nor a folder")
            }
        }
    }

    private static func copy(_ size: Int, from handle: FileHandle, to target: URL) throws {
        let parent = target.deletingLastPathComponent()
        try FileManager.default.createDirectory(at: parent, withIntermediateDirectories: true)
        guard FileManager.default.createFile(atPath: target.path, contents: nil) else {
            throw Problem("job.tar: '\(target.lastPathComponent)' can't be written")
        }
        let output = try FileHandle(forWritingTo: target)
        defer { try? output.close() }
        var left = size
        while left > 0 {
            let part = try exactly(min(left, chunk), from: handle)
            try output.write(contentsOf: part)
            left -= part.count
        }
        _ = try exactly((block - size % block) % block, from: handle)
    }

    private static func exactly(_ count: Int, from handle: FileHandle) throws -> Data {
        guard count > 0 else { return Data() }
        guard let data = try handle.read(upToCount: count), data.count == count else {
            throw Problem("job.tar ends in the middle: copy it again")
        }
        return data
    }

    private static func text(_ header: Data, _ offset: Int, _ length: Int) -> String {
        let start = header.startIndex + offset
        return String(decoding: header[start..<start + length].prefix { $0 != 0 }, as: UTF8.self)
    }

    private static func number(_ header: Data, _ offset: Int, _ length: Int) throws -> Int {
        let digits = text(header, offset, length).trimmingCharacters(in: .whitespaces)
        guard let value = Int(digits, radix: 8), value >= 0 else { throw Problem("job.tar is damaged: copy it again") }
        return value
    }

    /// The sum of the header's bytes, with spaces in place of the sum.
    private static func checksum(_ header: Data) -> Int {
        header.enumerated().reduce(0) { $0 + (148..<156 ~= $1.offset ? 32 : Int($1.element)) }
    }
}
