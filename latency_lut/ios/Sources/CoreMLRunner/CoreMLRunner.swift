// The thin layer over Core ML: compile, load, predict on noise, release.
import CoreML
import Foundation
import Measuring

public final class CoreMLRunner: Runner {
    private let configuration = MLModelConfiguration()
    private let timepiece: Timepiece
    private var compiled: URL?
    private var model: MLModel?
    private var input: MLFeatureProvider?

    public init(_ units: ComputeUnits, timepiece: Timepiece) {
        self.timepiece = timepiece
        switch units {
        case .all: configuration.computeUnits = .all
        case .cpuAndNeuralEngine: configuration.computeUnits = .cpuAndNeuralEngine
        case .cpuAndGPU: configuration.computeUnits = .cpuAndGPU
        case .cpuOnly: configuration.computeUnits = .cpuOnly
        }
    }

    public func load(_ package: URL) async throws -> Loaded {
        release()
        let start = timepiece.nanoseconds()
        let url = try await MLModel.compileModel(at: package)
        compiled = url
        let middle = timepiece.nanoseconds()
        let loaded = try MLModel(contentsOf: url, configuration: configuration)
        let end = timepiece.nanoseconds()
        input = try noise(for: loaded.modelDescription)
        model = loaded
        return Loaded(compileMs: Double(middle - start) / 1e6, loadMs: Double(end - middle) / 1e6)
    }

    public func placement() async -> Placement? {
        guard #available(iOS 17.4, macOS 14.4, *), let compiled else { return nil }
        return await computePlacement(of: compiled, configuration)
    }

    public func predict() throws {
        guard let model, let input else { throw Problem("nothing is loaded") }
        // Without a pool of its own, what a prediction leaves behind would pile up until the end of the burst.
        try autoreleasepool { _ = try model.prediction(from: input) }
    }

    /// The compiled package takes storage until it is removed.
    public func release() {
        (model, input) = (nil, nil)
        if let compiled { try? FileManager.default.removeItem(at: compiled) }
        compiled = nil
    }
}
