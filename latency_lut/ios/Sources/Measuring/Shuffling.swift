// The order of a round: random, and known from the seed, so that a continued round goes on with the same one.

/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014, figure 4).
struct SplitMix64 {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    /// From 0 to `limit` - 1: the upper half of the product.
    mutating func below(_ limit: Int) -> Int {
        Int(next().multipliedFullWidth(by: UInt64(limit)).high)
    }
}

/// Fisher and Yates from the end, with a generator that starts at seed * 2^32 + round * 2^16 + attempt.
public func shuffled<Element>(_ items: [Element], seed: Int, round: Int, attempt: Int) -> [Element] {
    var generator = SplitMix64(state: UInt64(seed) << 32 &+ UInt64(round) << 16 &+ UInt64(attempt))
    var order = items
    for last in stride(from: order.count - 1, to: 0, by: -1) {
        order.swapAt(last, generator.below(last + 1))
    }
    return order
}

public func median(_ values: [Double]) -> Double {
    let ordered = values.sorted()
    let middle = ordered.count / 2
    return ordered.count % 2 == 1 ? ordered[middle] : (ordered[middle - 1] + ordered[middle]) / 2
}
