// As much of SwiftUI (and of Combine, which it brings along) as the app uses, for type-checking on Linux.

public protocol ObservableObject: AnyObject {}

@propertyWrapper
public struct Published<Value> {
    public var wrappedValue: Value

    public init(wrappedValue: Value) { self.wrappedValue = wrappedValue }
}

@MainActor
@propertyWrapper
public struct StateObject<ObjectType: ObservableObject> {
    public let wrappedValue: ObjectType

    public init(wrappedValue thunk: @autoclosure @escaping () -> ObjectType) { wrappedValue = thunk() }
}

@MainActor
@propertyWrapper
public struct ObservedObject<ObjectType: ObservableObject> {
    public var wrappedValue: ObjectType

    public init(wrappedValue: ObjectType) { self.wrappedValue = wrappedValue }
}

@MainActor
public protocol View {
    associatedtype Body: View
    var body: Body { get }
}

extension Never: View {
    public var body: Never { fatalError() }
}

public struct Group: View {
    public var body: Never { fatalError() }
}

@resultBuilder
public struct ViewBuilder {
    @MainActor
    public static func buildBlock<each Content: View>(_ content: repeat each Content) -> Group { Group() }
}

public struct Font {
    public static let title = Font()
    public static let footnote = Font()
}

public enum TextAlignment { case leading, center, trailing }

extension View {
    public func font(_ font: Font?) -> Group { Group() }
    public func padding(_ length: Double? = nil) -> Group { Group() }
    public func multilineTextAlignment(_ alignment: TextAlignment) -> Group { Group() }
    public func task(_ action: @escaping @Sendable () async -> Void) -> Group { Group() }
}

public struct Text: View {
    public init<S: StringProtocol>(_ content: S) {}
    public var body: Never { fatalError() }
}

public struct ProgressView: View {
    public init<V: BinaryFloatingPoint>(value: V?, total: V = 1.0) {}
    public var body: Never { fatalError() }
}

public struct VStack: View {
    public init(spacing: Double? = nil, @ViewBuilder content: () -> Group) {}
    public var body: Never { fatalError() }
}

@MainActor
public protocol Scene {}

public struct WindowGroup: Scene {
    public init(@ViewBuilder content: () -> Group) {}
}

@MainActor
public protocol App {
    associatedtype Body: Scene
    var body: Body { get }
    init()
}

extension App {
    public static func main() {}
}
