//! All measurements of one moment, as every reader gets them.

use super::{Tallies, prometheus};
use crate::{
    slot::view::View,
    view::{Custom, Snapshot},
};
use std::sync::{Arc, OnceLock};

/// All measurements of one moment.
#[derive(Debug, Default)]
pub struct Board {
    /// The number of the board; 0 is the empty one before the first poll.
    pub number: u64,
    /// The read model.
    pub snapshot: Snapshot,
    /// The read model as JSON, for `/api/metrics`.
    pub json: Arc<[u8]>,
    /// The data behind `/metrics`; `None` when that is off.
    pub(super) source: Option<Source>,
    pub(super) prometheus: OnceLock<Arc<[u8]>>,
}

/// The data of the Prometheus text besides the read model.
#[derive(Debug)]
pub struct Source {
    pub views: Vec<View>,
    pub custom: Vec<(String, Vec<Custom>)>,
    pub tallies: Tallies,
}

impl Board {
    /// The board as Prometheus text 0.0.4, for `/metrics`; empty when that is off. Rendered at the first request,
    /// because polls are more frequent than scrapes.
    pub fn prometheus(&self) -> &Arc<[u8]> {
        self.prometheus.get_or_init(|| {
            let text = |of: &Source| prometheus::render(&self.snapshot, &of.views, &of.custom, &of.tallies);
            self.source.as_ref().map(text).unwrap_or_default().into_bytes().into()
        })
    }
}
