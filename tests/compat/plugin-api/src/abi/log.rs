//! Sends the author's `tracing` events to the host's log.

use super::module::HostApiRef;
use crate::bounded::cut;
use std::fmt::{self, Write};
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
};

/// The longest message, in bytes. Longer ones are cut: a log line is read by people, and the frame has a limit.
const LONGEST: usize = 4096;
/// Stands where a message was cut.
const CUT: &str = "… (cut)";

/// Installs the forwarder for this library. A second call changes nothing.
pub(super) fn install(host: HostApiRef, plugin: &str) {
    let own = plugin.replace('-', "_");
    let _ = tracing::subscriber::set_global_default(Forward { host, own });
}

/// Forwards events: the author's own up to `debug`, those of the libraries beneath up to `info`. Spans only nest, and
/// nothing is kept of them.
struct Forward {
    host: HostApiRef,
    /// The author's crate, as it stands in targets.
    own: String,
}

impl Subscriber for Forward {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let root = metadata.target().split("::").next().unwrap_or_default();
        let most = if root == self.own { Level::DEBUG } else { Level::INFO };
        *metadata.level() <= most
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::DEBUG)
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line::default();
        event.record(&mut line);
        let metadata = event.metadata();
        self.host.log()(number(*metadata.level()), metadata.target().into(), line.finish().as_str().into());
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The level as the host counts it: 1 (error) to 5 (trace).
fn number(level: Level) -> u8 {
    match level {
        Level::ERROR => 1,
        Level::WARN => 2,
        Level::INFO => 3,
        Level::DEBUG => 4,
        Level::TRACE => 5,
    }
}

/// One message and its fields: `message key=value …`, never longer than `LONGEST`.
#[derive(Default)]
struct Line {
    text: String,
    fields: String,
    cut: bool,
}

impl Line {
    fn finish(mut self) -> String {
        let fields = std::mem::take(&mut self.fields);
        let _ = Bounded { text: &mut self.text, cut: &mut self.cut }.write_str(&fields);
        if self.cut {
            self.text.push_str(CUT);
        }
        self.text
    }
}

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let (text, name) = match field.name() {
            "message" => (&mut self.text, None),
            name => (&mut self.fields, Some(name)),
        };
        let mut out = Bounded { text, cut: &mut self.cut };
        // An error means the line is full, or the author's `Debug` failed; what is written so far is good either way.
        let _ = match name {
            None => write!(out, "{value:?}"),
            Some(name) => write!(out, " {name}={value:?}"),
        };
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.record_debug(field, &format_args!("{value}"));
    }
}

/// Writes until the limit, at a character's edge.
struct Bounded<'a> {
    text: &'a mut String,
    cut: &'a mut bool,
}

impl Write for Bounded<'_> {
    fn write_str(&mut self, more: &str) -> fmt::Result {
        let room = LONGEST.saturating_sub(CUT.len() + self.text.len());
        self.text.push_str(cut(more, room));
        if more.len() > room {
            *self.cut = true;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_at_a_character() {
        let mut line = Line::default();
        let _ = Bounded { text: &mut line.text, cut: &mut line.cut }.write_str(&"é".repeat(LONGEST));
        let text = line.finish();
        assert!(text.len() <= LONGEST && text.ends_with(CUT), "{} bytes", text.len());
    }
}
