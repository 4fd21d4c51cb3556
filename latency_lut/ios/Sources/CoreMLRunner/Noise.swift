// Inputs of the right shape and type, filled with random numbers of magnitude 1 to 2.
import CoreML
import Foundation
import Measuring

func noise(for description: MLModelDescription) throws -> MLFeatureProvider {
    var values: [String: Any] = [:]
    for (name, feature) in description.inputDescriptionsByName {
        guard feature.type == .multiArray, let constraint = feature.multiArrayConstraint else {
            throw Problem("input '\(name)' is no array; only arrays are filled")
        }
        let array = try MLMultiArray(shape: constraint.shape, dataType: constraint.dataType)
        try fill(array, name)
        values[name] = MLFeatureValue(multiArray: array)
    }
    return try MLDictionaryFeatureProvider(dictionary: values)
}

private func fill(_ array: MLMultiArray, _ name: String) throws {
    var generator = SystemRandomNumberGenerator()
    switch array.dataType {
    case .float16:
        // Sign and fraction at random, the exponent of 1.
        array.withUnsafeMutableBytes { bytes, _ in
            for index in stride(from: 0, to: bytes.count - 1, by: 2) {
                let bits = UInt16.random(in: .min ... .max, using: &generator) & 0x83FF | 0x3C00
                bytes.storeBytes(of: bits, toByteOffset: index, as: UInt16.self)
            }
        }
    case .float32:
        array.withUnsafeMutableBytes { bytes, _ in
            for index in stride(from: 0, to: bytes.count - 3, by: 4) {
                let bits = UInt32.random(in: .min ... .max, using: &generator) & 0x807F_FFFF | 0x3F80_0000
                bytes.storeBytes(of: bits, toByteOffset: index, as: UInt32.self)
            }
        }
    default:
        throw Problem("input '\(name)' has values of another type than fp16 and fp32")
    }
}
