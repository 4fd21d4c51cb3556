// The app: one screen that says what is going on. Started with --measure (as the Mac's side does), it ends when it is
// done, with a status: 0 all measured, 2 stopped for a reason that passes, 3 an error.
import SwiftUI

@main
struct MeasureApp: App {
    @StateObject private var session = Session()

    var body: some Scene {
        WindowGroup {
            MeasureView(session: session).task { await session.run() }
        }
    }
}

struct MeasureView: View {
    @ObservedObject var session: Session

    var body: some View {
        VStack(spacing: 16) {
            Text("Slimformer").font(.title)
            Text(session.state)
            ProgressView(value: session.share)
            Text(session.detail).font(.footnote)
            Text("Leave the phone alone, unlocked and out of its case, with this app in front.").font(.footnote)
        }
        .multilineTextAlignment(.center)
        .padding()
    }
}
