//! The points of a range of time: the last ones from memory, those before from `rosey.db`.

use super::{
    MOST_LETTERS, MOST_TIMERS, Metrics, history, now_seconds,
    rollup::{self, HOST, Served},
    show,
};
use crate::{
    slot::dead_letter,
    view::{Detail, Point},
};
use std::{collections::HashMap, time::Duration};

/// The longest range of which the points of the last hour are shown, whole or in part.
const HOUR: Duration = Duration::from_secs(3600);

/// Points of a range.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The points, the oldest first.
    pub points: Vec<Point>,
    /// The most seconds between two points.
    pub step: f32,
    /// Since when they are closer, in seconds since 1970, and how close.
    polled: Option<(u64, f32)>,
}

impl History {
    /// Seconds that a point stands for.
    pub fn step_at(&self, point: &Point) -> f32 {
        match self.polled {
            Some((since, poll)) if point.at >= since => poll,
            _ => self.step,
        }
    }
}

impl Metrics {
    /// One plugin in full, with its history and its figures over this window; `None` when there is no such plugin.
    pub async fn detail(&self, plugin: &str, window: Duration) -> Option<Detail> {
        let plugins = self.state().plugins.clone()?;
        let (view, config) = (plugins.view(plugin).await.ok()?, plugins.config(plugin).ok()?);
        let letters = dead_letter::list(plugins.database(), Some(plugin), MOST_LETTERS).await.unwrap_or_default();
        let timers = plugins.timers(plugin, MOST_TIMERS).await.unwrap_or_default();
        let long = match window > self.history_duration().max(HOUR) {
            true => history::History::from_iter(self.range(plugin, window).await.points),
            false => history::History::default(),
        };
        let (state, mut view) = (self.state(), view);
        state.lasting.add_to(&mut view);
        let measured = state.measured.get(plugin).cloned().unwrap_or_default();
        let mut detail = show::detail(&view, &measured, &config);
        detail.letters = letters.into_iter().map(show::letter).collect();
        detail.timers = timers.iter().map(|timer| show::timer(timer, view.manifest.as_deref())).collect();
        state.fill(&mut detail, window, &long);
        Some(detail)
    }

    /// The points of a plugin within a range that ends now.
    pub async fn range(&self, plugin: &str, length: Duration) -> History {
        let (database, recent, open) = {
            let state = self.state();
            let history =
                if plugin == HOST { Some(&state.host) } else { state.series.get(plugin).map(|it| &it.history) };
            let from = now_seconds().saturating_sub(length.as_secs());
            let recent: Vec<Point> = history.map(|history| history.since(from).copied().collect()).unwrap_or_default();
            let open = state.rollups.get(plugin).and_then(|rollup| rollup.open(rollup::step_of(length)));
            (state.database.clone(), recent, open)
        };
        let (poll, step) = (self.poll_interval(), rollup::step_of(length));
        let whole = History { points: recent, step: poll.as_secs_f32(), polled: None };
        let from = now_seconds().saturating_sub(length.as_secs());
        let begins = whole.points.first().map_or(u64::MAX, |first| first.at);
        let is_whole = length <= HOUR && begins <= from + 2 * poll.as_secs().max(1);
        let Some(database) = database.filter(|_| !is_whole) else { return whole };
        let Ok(mut points) = rollup::read(&database, plugin, step, from).await else { return whole };
        let mut polled = None;
        if length <= HOUR {
            polled = Some((begins, whole.step));
            // Those of this run of the host are in memory, and finer.
            points.retain(|point| point.at < begins);
            if points.is_empty() {
                return whole;
            }
            points.extend(whole.points);
        } else {
            points.extend(open);
        }
        History { points, step: (step as f32).max(poll.as_secs_f32()), polled }
    }

    /// For each of these plugins, how long it served in each of `count` equal parts of a range that ends now.
    pub async fn served(&self, plugins: &[&str], length: Duration, count: usize) -> HashMap<String, Vec<Served>> {
        let (step, from) = (rollup::step_of(length), now_seconds().saturating_sub(length.as_secs()));
        let place = |at: u64| (at.saturating_sub(from) * count as u64 / length.as_secs().max(1)) as usize;
        let (database, mut all) = {
            let state = self.state();
            let open = |name: &&str| {
                let mut parts = vec![Served::default(); count];
                if let Some((at, served)) = state.rollups.get(*name).and_then(|rollup| rollup.open_served(step)) {
                    parts[place(at).min(count - 1)] = served;
                }
                ((*name).to_owned(), parts)
            };
            (state.database.clone(), plugins.iter().map(open).collect::<HashMap<_, _>>())
        };
        let names = plugins.iter().map(|name| (*name).to_owned()).collect();
        let Some(database) = database else { return all };
        for (name, points) in rollup::read_served(&database, names, step, from).await.unwrap_or_default() {
            let Some(parts) = all.get_mut(&name) else { continue };
            for (at, served) in points {
                if let Some(part) = parts.get_mut(place(at)) {
                    part.add(served);
                }
            }
        }
        all
    }

    /// The points of the host itself, with the events of all plugins, within a range that ends now.
    pub async fn range_of_host(&self, length: Duration) -> History {
        self.range(HOST, length).await
    }
}
