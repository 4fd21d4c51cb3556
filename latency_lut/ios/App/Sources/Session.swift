// One run of the app: what is shown of it, and how it ends.
import CoreMLRunner
import Foundation
import Measuring
import SwiftUI
import UIKit

@MainActor
final class Session: ObservableObject {
    @Published private(set) var state = "Starting"
    @Published private(set) var detail = ""
    @Published private(set) var share = 0.0
    private var isRunning = false

    func run() async {
        guard !isRunning else { return }
        isRunning = true
        UIApplication.shared.isIdleTimerDisabled = true  // the screen stays on, so that the app stays in front
        let facts = phoneFacts()
        let conditions = PhoneConditions()
        // Not on the main thread: drawing and measuring would wait for each other.
        let work = Task.detached(priority: .userInitiated) { [weak self] in
            try await measure(facts, conditions) { progress in
                Task { @MainActor in self?.show(progress) }
            }
        }
        do {
            switch try await work.value {
            case .finished: end("Finished: all is measured", 0)
            case .stopped(let reason): end("Stopped: \(reason)", 2)
            }
        } catch {
            end("Error: \(reason(error))", 3)
        }
    }

    private func show(_ progress: Standing) {
        state = progress.text
        guard progress.total > 0 else { return }
        detail = "\(progress.done) of \(progress.total) bursts"
        share = Double(progress.done) / Double(progress.total)
    }

    private func end(_ text: String, _ status: Int32) {
        state = text
        print("slimformer: \(text)")
        UIApplication.shared.isIdleTimerDisabled = false
        if CommandLine.arguments.contains("--measure") { exit(status) }
    }
}

private func measure(
    _ facts: Facts, _ conditions: PhoneConditions, _ tell: @escaping (Standing) -> Void
) async throws -> Outcome {
    let documents = try FileManager.default.url(
        for: .documentDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
    let folder = try JobFolder.find(in: documents)
    let results = try ResultsFile(folder.results, job: folder.job.job, facts: facts)
    let clock = UptimeClock()
    let runner = CoreMLRunner(folder.job.computeUnits, timepiece: clock)
    let run = MeasuringRun(
        folder.job, in: folder.url, runner: runner, timepiece: clock, conditions: conditions, results: results,
        tell: tell)
    return try await run.run()
}
