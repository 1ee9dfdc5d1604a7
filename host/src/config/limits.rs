//! Limits as they stand in a file.

use crate::settings::Section;
use rosey_core::limits::{Limits, Value};

/// Limits as written: those left out stay as they are.
#[derive(Debug, Clone, Default)]
pub struct LimitsConfig(Vec<(&'static str, Value)>);

impl LimitsConfig {
    /// Takes the limits that are set from a table of a file.
    pub fn read(section: &mut Section<'_>) -> Self {
        let set = |row: rosey_core::limits::Limit| {
            let value = match (row.least, row.most) {
                (Value::Count(least), Value::Count(most)) => {
                    section.get_within(row.name, least..=most).map(Value::Count)
                }
                (Value::Share(least), Value::Share(most)) => {
                    section.get_within(row.name, least..=most).map(Value::Share)
                }
                (Value::Time(least), Value::Time(most)) => section.get_within(row.name, least..=most).map(Value::Time),
                _ => None,
            };
            Some((row.name, value?))
        };
        Self(Limits::rows().into_iter().filter_map(set).collect())
    }

    /// Puts what is set into `limits`.
    pub fn apply(&self, limits: &mut Limits) {
        for (name, value) in &self.0 {
            limits.set(name, *value);
        }
    }
}
