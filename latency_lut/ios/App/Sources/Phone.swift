// This phone: its clock, the state it is in, and what may be told of it.
import Foundation
import Measuring
import UIKit

struct UptimeClock: Timepiece {
    /// Mach time: what the processor counts, untouched by changes of the date.
    func nanoseconds() -> UInt64 { DispatchTime.now().uptimeNanoseconds }

    func sleep(milliseconds: Double) async throws {
        try await Task.sleep(nanoseconds: UInt64(milliseconds * 1e6))
    }
}

/// Asked from the thread that measures, told by the main one.
final class PhoneConditions: Conditions, @unchecked Sendable {
    private let lock = NSLock()
    private var active: Bool
    private var left = 0

    @MainActor
    init() {
        active = UIApplication.shared.applicationState == .active
        let center = NotificationCenter.default
        _ = center.addObserver(forName: UIApplication.didBecomeActiveNotification, object: nil, queue: nil) {
            [weak self] _ in
            self?.set(active: true)
        }
        _ = center.addObserver(forName: UIApplication.willResignActiveNotification, object: nil, queue: nil) {
            [weak self] _ in
            self?.set(active: false)
        }
    }

    private func set(active now: Bool) {
        lock.lock()
        defer { lock.unlock() }
        active = now
        if !now { left += 1 }
    }

    var isActive: Bool {
        lock.lock()
        defer { lock.unlock() }
        return active
    }

    var interruptions: Int {
        lock.lock()
        defer { lock.unlock() }
        return left
    }

    var isLowPower: Bool { ProcessInfo.processInfo.isLowPowerModeEnabled }

    var thermal: Thermal {
        switch ProcessInfo.processInfo.thermalState {
        case .nominal: return .nominal
        case .fair: return .fair
        case .serious: return .serious
        case .critical: return .critical
        @unknown default: return .critical
        }
    }
}

/// The model's number, such as iPhone14,5, and the system without its build: nothing that tells two of a kind apart.
@MainActor
func phoneFacts() -> Facts {
    var system = utsname()
    uname(&system)
    let model = withUnsafeBytes(of: &system.machine) { bytes in
        String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    let info = ProcessInfo.processInfo
    let version = Bundle.main.object(forInfoDictionaryKey: "CFBundleShortVersionString") as? String
    return Facts(
        model: model, os: "\(UIDevice.current.systemName) \(UIDevice.current.systemVersion)",
        cores: info.processorCount,
        memoryBytes: info.physicalMemory, app: version ?? "unknown")
}
