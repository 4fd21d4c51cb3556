// As much of Core ML as CoreMLRunner uses, with the signatures of Apple's documentation, for type-checking on Linux. A
// model is any folder, so that the layer's bookkeeping can be tested.
import Foundation

public enum MLComputeUnits: Int { case cpuOnly, cpuAndGPU, all, cpuAndNeuralEngine }

public class MLModelConfiguration: NSObject {
    public var computeUnits = MLComputeUnits.all
}

public enum MLMultiArrayDataType: Int {
    case double = 65600
    case float32 = 65568
    case float16 = 65552
    case int32 = 131104
}

public class MLMultiArray: NSObject {
    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType
    private var bytes: [UInt8]

    public init(shape: [NSNumber], dataType: MLMultiArrayDataType) throws {
        (self.shape, self.dataType) = (shape, dataType)
        bytes = [UInt8](repeating: 0, count: shape.reduce(dataType == .float16 ? 2 : 4) { $0 * $1.intValue })
    }

    public func withUnsafeMutableBytes<R>(_ body: (UnsafeMutableRawBufferPointer, [Int]) throws -> R) rethrows -> R {
        try bytes.withUnsafeMutableBytes { try body($0, []) }
    }
}

public enum MLFeatureType: Int { case invalid, int64, double, string, image, multiArray }

public class MLMultiArrayConstraint: NSObject {
    public let shape: [NSNumber]
    public let dataType: MLMultiArrayDataType

    init(_ shape: [NSNumber], _ dataType: MLMultiArrayDataType) { (self.shape, self.dataType) = (shape, dataType) }
}

public class MLFeatureDescription: NSObject {
    public let type: MLFeatureType
    public let multiArrayConstraint: MLMultiArrayConstraint?

    init(_ type: MLFeatureType, _ constraint: MLMultiArrayConstraint?) {
        (self.type, multiArrayConstraint) = (type, constraint)
    }
}

public class MLModelDescription: NSObject {
    public let inputDescriptionsByName: [String: MLFeatureDescription]

    init(_ inputs: [String: MLFeatureDescription]) { inputDescriptionsByName = inputs }
}

public class MLFeatureValue: NSObject {
    public let multiArrayValue: MLMultiArray?

    public init(multiArray value: MLMultiArray) { multiArrayValue = value }
}

public protocol MLFeatureProvider {
    func featureValue(for featureName: String) -> MLFeatureValue?
}

public class MLDictionaryFeatureProvider: NSObject, MLFeatureProvider {
    private let values: [String: MLFeatureValue]

    public init(dictionary: [String: Any]) throws { values = dictionary.compactMapValues { $0 as? MLFeatureValue } }

    public func featureValue(for featureName: String) -> MLFeatureValue? { values[featureName] }
}

public class MLModel: NSObject {
    /// What the stub's models have as inputs; tests set it.
    nonisolated(unsafe) public static var stubInputs: [String: (MLFeatureType, [NSNumber], MLMultiArrayDataType)] = [:]
    nonisolated(unsafe) public static var stubLast: MLFeatureProvider?

    public let modelDescription: MLModelDescription

    @available(*, deprecated)
    public class func compileModel(at modelURL: URL) throws -> URL { modelURL }

    public class func compileModel(at modelURL: URL) async throws -> URL {
        let compiled = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".mlmodelc")
        try FileManager.default.copyItem(at: modelURL, to: compiled)
        return compiled
    }

    public init(contentsOf url: URL, configuration: MLModelConfiguration) throws {
        _ = try FileManager.default.contentsOfDirectory(atPath: url.path)
        modelDescription = MLModelDescription(
            Self.stubInputs.mapValues { MLFeatureDescription($0.0, $0.0 == .multiArray ? .init($0.1, $0.2) : nil) })
    }

    public func prediction(from input: MLFeatureProvider) throws -> MLFeatureProvider {
        Self.stubLast = input
        return input
    }

    public func prediction(from input: MLFeatureProvider) async throws -> MLFeatureProvider { input }
}

public class MLCPUComputeDevice: NSObject {}
public class MLGPUComputeDevice: NSObject {}
public class MLNeuralEngineComputeDevice: NSObject {}

public enum MLComputeDevice {
    case cpu(MLCPUComputeDevice)
    case gpu(MLGPUComputeDevice)
    case neuralEngine(MLNeuralEngineComputeDevice)
}

public enum MLModelStructure {
    public struct Program {
        public struct Operation {
            public let operatorName: String
            public let blocks: [Block]
        }

        public struct Block {
            public let operations: [Operation]
        }

        public struct Function {
            public let block: Block
        }

        public let functions: [String: Function]
    }

    case program(Program)
    case unsupported
}

public class MLComputePlan {
    public struct DeviceUsage {
        public let preferred: MLComputeDevice
        public let supported: [MLComputeDevice]
    }

    public struct Cost {
        public let weight: Double
    }

    public let modelStructure: MLModelStructure

    init(_ structure: MLModelStructure) { modelStructure = structure }

    /// A constant, a convolution on the Neural Engine, and a branch whose addition has no device.
    public static func load(contentsOf url: URL, configuration: MLModelConfiguration) async throws -> MLComputePlan {
        let branch = MLModelStructure.Program.Block(operations: [.init(operatorName: "ios17.add", blocks: [])])
        let block = MLModelStructure.Program.Block(operations: [
            .init(operatorName: "const", blocks: []), .init(operatorName: "ios17.conv", blocks: []),
            .init(operatorName: "cond", blocks: [branch]),
        ])
        return MLComputePlan(.program(.init(functions: ["main": .init(block: block)])))
    }

    public func deviceUsage(for operation: MLModelStructure.Program.Operation) -> DeviceUsage? {
        switch operation.operatorName {
        case "ios17.conv": return DeviceUsage(preferred: .neuralEngine(.init()), supported: [])
        case "cond": return DeviceUsage(preferred: .cpu(.init()), supported: [])
        default: return nil
        }
    }

    public func estimatedCost(of operation: MLModelStructure.Program.Operation) -> Cost? {
        operation.operatorName == "ios17.conv" ? Cost(weight: 0.75) : nil
    }
}

/// Of Objective-C's runtime.
public func autoreleasepool<Result>(invoking body: () throws -> Result) rethrows -> Result { try body() }
