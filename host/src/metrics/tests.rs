//! Tests of events that concern no plugin.

use super::*;

#[test]
fn a_connector_that_drops_and_comes_back_makes_marks() {
    let metrics = Metrics::default();
    metrics.expect_connector("irc");
    assert!(metrics.marks(None, 9).is_empty(), "nothing happened yet");
    for connected in [true, true, false, false, true] {
        metrics.connector("irc", connected);
    }
    let marks = metrics.marks(None, 9);
    let texts: Vec<_> = marks.iter().rev().map(|mark| (mark.severity, mark.text.as_str())).collect();
    assert_eq!(
        texts,
        [(Severity::Info, "irc connected"), (Severity::Error, "irc dropped"), (Severity::Info, "irc is back")]
    );
    let state = |metrics: &Metrics| metrics.snapshot(&[], Vec::new(), Point::default(), None).system;
    assert_eq!(state(&metrics).connectors["irc"], "connected");
    metrics.connector("irc", false);
    let down = state(&metrics);
    assert_eq!((down.connectors["irc"], down.severity), ("disconnected", Severity::Error));
    assert_eq!(down.verdict, "irc is not connected, so its users cannot reach the bot.");
}
