// What measuring needs of a phone: a model that runs, a clock, and the state the phone is in. Tests make them up.
import Foundation

public protocol Runner: AnyObject {
    /// Compiles and loads a package; what was loaded before is released.
    func load(_ package: URL) async throws -> Loaded
    /// Where the loaded model's operations run; nil where the system doesn't tell.
    func placement() async -> Placement?
    /// One prediction on noise; the result is there when it returns.
    func predict() throws
    func release()
}

public struct Loaded: Equatable {
    public var compileMs: Double
    public var loadMs: Double

    public init(compileMs: Double, loadMs: Double) {
        (self.compileMs, self.loadMs) = (compileMs, loadMs)
    }
}

/// Numbers of operations by the device they prefer, and their shares of the estimated cost. Constants don't count.
public struct Placement: Codable, Equatable {
    public var operations: [String: Int] = ["neural_engine": 0, "gpu": 0, "cpu": 0, "unknown": 0]
    public var cost: [String: Double] = [:]

    public init() {}

    public mutating func add(_ device: String, cost weight: Double?) {
        operations[device, default: 0] += 1
        if let weight { cost[device, default: 0] += weight }
    }
}

public protocol Timepiece {
    /// Only ever grows.
    func nanoseconds() -> UInt64
    func sleep(milliseconds: Double) async throws
}

public enum Thermal: String, Codable {
    case nominal, fair, serious, critical
}

public protocol Conditions {
    var thermal: Thermal { get }
    var isLowPower: Bool { get }
    /// Whether the app is in front; only then does the system let it run at full speed.
    var isActive: Bool { get }
    /// How often the app has left the front.
    var interruptions: Int { get }
}

/// What may be known of the phone. Its name, owner and numbers may not.
public struct Facts: Equatable {
    public var model: String
    public var os: String
    public var cores: Int
    public var memoryBytes: UInt64
    public var app: String

    public init(model: String, os: String, cores: Int, memoryBytes: UInt64, app: String) {
        (self.model, self.os, self.cores, self.memoryBytes, self.app) = (model, os, cores, memoryBytes, app)
    }
}
