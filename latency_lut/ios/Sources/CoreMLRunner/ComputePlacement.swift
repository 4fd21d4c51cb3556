// Where Core ML means to run each operation, and what share of the time it expects there.
import CoreML
import Foundation
import Measuring

@available(iOS 17.4, macOS 14.4, *)
func computePlacement(of compiled: URL, _ configuration: MLModelConfiguration) async -> Placement? {
    guard let plan = try? await MLComputePlan.load(contentsOf: compiled, configuration: configuration),
        case .program(let program) = plan.modelStructure
    else { return nil }
    var placement = Placement()
    for function in program.functions.values { add(function.block, of: plan, to: &placement) }
    return placement
}

@available(iOS 17.4, macOS 14.4, *)
private func add(_ block: MLModelStructure.Program.Block, of plan: MLComputePlan, to placement: inout Placement) {
    for operation in block.operations where !operation.operatorName.hasSuffix("const") {
        let device = plan.deviceUsage(for: operation).map { name($0.preferred) } ?? "unknown"
        placement.add(device, cost: plan.estimatedCost(of: operation)?.weight)
        for inner in operation.blocks { add(inner, of: plan, to: &placement) }
    }
}

@available(iOS 17.0, macOS 14.0, *)
private func name(_ device: MLComputeDevice) -> String {
    switch device {
    case .cpu: return "cpu"
    case .gpu: return "gpu"
    case .neuralEngine: return "neural_engine"
    @unknown default: return "unknown"
    }
}
