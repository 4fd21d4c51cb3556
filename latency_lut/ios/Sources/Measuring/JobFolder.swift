// Where a job lies on the phone: Documents/job.tar arrives, Documents/jobs/<job>/ is measured.
import Foundation

public struct JobFolder {
    public let url: URL
    public let job: Job

    public var results: URL { url.appendingPathComponent("results.jsonl") }

    /// The job that has just arrived, or the one that is already there. Results that came along are continued.
    public static func find(in documents: URL) throws -> JobFolder {
        let files = FileManager.default
        let archive = documents.appendingPathComponent("job.tar")
        let jobs = documents.appendingPathComponent("jobs")
        let arriving = documents.appendingPathComponent("arriving")
        try? files.removeItem(at: arriving)
        if files.fileExists(atPath: archive.path) {
            try files.createDirectory(at: arriving, withIntermediateDirectories: true)
            try Tar.unpack(archive, into: arriving)
            let job = try Job(contentsOf: arriving.appendingPathComponent("job.json"))
            let place = jobs.appendingPathComponent(job.job)
            if !files.fileExists(atPath: place.path) {
                try clear(jobs)
                try files.createDirectory(at: jobs, withIntermediateDirectories: true)
                try files.moveItem(at: arriving, to: place)
            }
            try? files.removeItem(at: arriving)
            try files.removeItem(at: archive)
        }
        let names = (try? files.contentsOfDirectory(atPath: jobs.path)) ?? []
        guard let name = names.first(where: { !$0.hasPrefix(".") }) else {
            throw Problem("there is nothing to measure: job.tar is not in this app's documents")
        }
        let url = jobs.appendingPathComponent(name)
        return JobFolder(url: url, job: try Job(contentsOf: url.appendingPathComponent("job.json")))
    }

    /// A new job takes the place of the old ones; a phone's storage is small.
    private static func clear(_ jobs: URL) throws {
        if FileManager.default.fileExists(atPath: jobs.path) { try FileManager.default.removeItem(at: jobs) }
    }
}
