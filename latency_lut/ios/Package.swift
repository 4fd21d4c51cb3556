// swift-tools-version:5.9
// Measuring (built and tested on Linux too) and the thin layer over Core ML. The app is App/Slimformer.xcodeproj.
import PackageDescription

let package = Package(
    name: "PhoneMeasuring",
    platforms: [.iOS(.v17), .macOS(.v14)],
    products: [
        .library(name: "Measuring", targets: ["Measuring"]),
        .library(name: "CoreMLRunner", targets: ["CoreMLRunner"]),
    ],
    targets: [
        .target(name: "Measuring"),
        .target(name: "CoreMLRunner", dependencies: ["Measuring"]),
        .testTarget(name: "MeasuringTests", dependencies: ["Measuring"], exclude: ["Golden"]),
    ]
)

#if os(Linux)
    // Modules that only Apple's systems have, as far as we use them, so that the rest is type-checked here as well.
    let stubs = ["CoreML", "SwiftUI", "UIKit"]
    package.targets += stubs.map { .target(name: $0, path: "Stubs/\($0)") }
    package.targets.first { $0.name == "CoreMLRunner" }?.dependencies.append("CoreML")
    package.targets += [
        .testTarget(name: "CoreMLRunnerTests", dependencies: ["CoreMLRunner"]),
        .executableTarget(name: "App", dependencies: ["CoreMLRunner", "SwiftUI", "UIKit"], path: "App/Sources"),
    ]
#endif
