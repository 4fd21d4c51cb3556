// Against the stub: that the layer type-checks, asks for what it should, and leaves nothing behind.
import CoreML
import Foundation
import Measuring
import XCTest

@testable import CoreMLRunner

private struct Ticks: Timepiece {
    func nanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }
    func sleep(milliseconds: Double) async {}
}

final class CoreMLRunnerTests: XCTestCase {
    var package: URL!

    override func setUpWithError() throws {
        package = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".mlpackage")
        try FileManager.default.createDirectory(at: package, withIntermediateDirectories: true)
        MLModel.stubInputs = ["x": (.multiArray, [1, 3, 4, 4], .float16)]
    }

    override func tearDownWithError() throws { try FileManager.default.removeItem(at: package) }

    func compiled() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: FileManager.default.temporaryDirectory.path)
            .filter { $0.hasSuffix(".mlmodelc") }
    }

    func testRunsOnNoiseAndLeavesNothingBehind() async throws {
        let runner = CoreMLRunner(.cpuAndNeuralEngine, timepiece: Ticks())
        XCTAssertThrowsError(try runner.predict())
        for type in [MLMultiArrayDataType.float16, .float32] {
            MLModel.stubInputs = ["x": (.multiArray, [1, 3, 4, 4], type)]
            let loaded = try await runner.load(package)
            XCTAssertGreaterThan(loaded.compileMs, 0)
            XCTAssertGreaterThan(loaded.loadMs, 0)
            XCTAssertEqual(try compiled().count, 1)  // the one before is gone
            try runner.predict()
            let array = try XCTUnwrap(MLModel.stubLast?.featureValue(for: "x")?.multiArrayValue)
            let values = array.withUnsafeMutableBytes { bytes, _ in
                type == .float16
                    ? bytes.bindMemory(to: UInt16.self).map { Double(Float(half: $0)) }
                    : bytes.bindMemory(to: Float.self).map { Double($0) }
            }
            XCTAssertEqual(values.count, 48)
            XCTAssertTrue(values.allSatisfy { 1...2 ~= abs($0) })
            XCTAssertGreaterThan(Set(values).count, 20)
        }
        runner.release()
        XCTAssertEqual(try compiled(), [])
    }

    func testPlacementCountsWhatIsInBranchesAndNoConstants() async throws {
        let runner = CoreMLRunner(.all, timepiece: Ticks())
        _ = try await runner.load(package)
        let found = await runner.placement()
        XCTAssertEqual(found?.operations, ["neural_engine": 1, "cpu": 1, "gpu": 0, "unknown": 1])
        XCTAssertEqual(found?.cost, ["neural_engine": 0.75])
        runner.release()
        let none = await runner.placement()
        XCTAssertNil(none)
    }

    func testInputsThatCanNotBeFilled() async throws {
        let runner = CoreMLRunner(.cpuOnly, timepiece: Ticks())
        for (type, message) in [
            (MLFeatureType.image, "input 'x' is no array; only arrays are filled"),
            (.multiArray, "input 'x' has values of another type than fp16 and fp32"),
        ] {
            MLModel.stubInputs = ["x": (type, [1], .int32)]
            do {
                _ = try await runner.load(package)
                XCTFail("it was filled")
            } catch {
                XCTAssertEqual(reason(error), message)
            }
        }
        runner.release()
    }
}

extension Float {
    /// From the bits of a half-precision number that is not tiny.
    fileprivate init(half bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        self.init(bitPattern: sign | (UInt32(bits & 0x7C00) + (112 << 10)) << 13 | UInt32(bits & 0x03FF) << 13)
    }
}
