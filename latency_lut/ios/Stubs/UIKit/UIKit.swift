// As much of UIKit as the app uses, for type-checking on Linux.
import Foundation

@MainActor
public final class UIApplication {
    public enum State: Int { case active, inactive, background }

    public static let shared = UIApplication()
    nonisolated public static let didBecomeActiveNotification = Notification.Name("didBecomeActive")
    nonisolated public static let willResignActiveNotification = Notification.Name("willResignActive")

    public var isIdleTimerDisabled = false
    public var applicationState: State { .active }
}

@MainActor
public final class UIDevice {
    public static let current = UIDevice()

    public var systemName: String { "iOS" }
    public var systemVersion: String { "17.0" }
}

/// Of Foundation, where there are phones.
extension ProcessInfo {
    public enum ThermalState: Int { case nominal, fair, serious, critical }

    public var thermalState: ThermalState { .nominal }
    public var isLowPowerModeEnabled: Bool { false }
}
