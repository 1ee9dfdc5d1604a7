//! Libraries of plugins that lie in the plugin folder and do not belong to the set.

use super::{Plugins, name_problem};
use crate::artifact;
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

/// Most files of the plugin folder that are looked at.
const MOST: usize = 1000;

/// What a file was when it was last read, and whether it was a plugin.
type Known = HashMap<PathBuf, (Option<SystemTime>, u64, bool)>;

/// Remembers which files are plugins, so that each is read once.
#[derive(Debug, Clone, Default)]
pub(super) struct Offers(Arc<Mutex<Known>>);

impl Plugins {
    /// The names of plugins whose library lies in the plugin folder, and which do not belong to the set. Reads the
    /// folder each time, and each new file once.
    pub async fn offered(&self) -> Vec<String> {
        let (offers, folder) = (self.offers.clone(), self.catalog.load().plugin_dir.clone());
        let found = tokio::task::spawn_blocking(move || offers.look(&folder)).await.unwrap_or_default();
        let members = self.members();
        found.into_iter().filter(|name| !members.contains_key(name)).collect()
    }
}

impl Offers {
    fn look(&self, folder: &Path) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
        let (mut seen, mut names) = (Known::new(), Vec::new());
        for path in entries.take(MOST).flatten().map(|entry| entry.path()) {
            let (Some(name), Ok(meta)) = (name_of(&path), fs::metadata(&path)) else { continue };
            let (at, size) = (meta.modified().ok(), meta.len());
            let is_plugin = match known.get(&path) {
                Some((then, long, is_plugin)) if (*then, *long) == (at, size) => *is_plugin,
                _ => artifact::is_plugin(&path),
            };
            seen.insert(path, (at, size, is_plugin));
            names.extend(is_plugin.then_some(name));
        }
        // What is gone is forgotten.
        *known = seen;
        names.sort_unstable();
        names
    }
}

/// The plugin of a file with the name of a library.
fn name_of(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?.strip_prefix("lib")?.strip_suffix(".so")?.replace('_', "-");
    name_problem(&name).is_none().then_some(name)
}
