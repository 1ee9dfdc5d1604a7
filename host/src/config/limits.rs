//! Limits in a configuration file.

use crate::settings::Section;
use rosey_core::limits::{Limits, Value};

/// The limits that a table sets. The others stay as they are.
#[derive(Debug, Clone, Default)]
pub struct LimitsConfig(Vec<(&'static str, Value)>);

impl LimitsConfig {
    /// Reads the limits of a table.
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

    /// Sets a limit by its name.
    pub fn set(&mut self, name: &'static str, value: Value) {
        self.0.push((name, value));
    }

    /// Sets these limits in `limits`.
    pub fn apply(&self, limits: &mut Limits) {
        for (name, value) in &self.0 {
            limits.set(name, *value);
        }
    }
}
