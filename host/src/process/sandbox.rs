//! What the sandbox of a process holds, as its shim found out before it opened the library.

use crate::text::clean;
use rosey_wire::sandbox::{Finding, Rule, RuleState};

/// The longest detail that is kept, in bytes.
const DETAIL: usize = 200;

/// One rule, and whether it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleReport {
    /// What was tried.
    pub rule: Rule,
    /// Whether it holds.
    pub state: RuleState,
    /// More for the operator; may be empty.
    pub detail: String,
}

impl RuleReport {
    /// The reports of a shim.
    pub fn all(findings: &[Finding<'_>]) -> Vec<Self> {
        let report = |finding: &Finding<'_>| Self {
            rule: finding.rule,
            state: finding.state,
            detail: clean(finding.detail, DETAIL),
        };
        findings.iter().take(Rule::ALL.len()).map(report).collect()
    }
}

/// For people: `8 rules are enforced; off: network (all is granted)`.
pub fn text(reports: &[RuleReport]) -> String {
    let enforced = reports.iter().filter(|report| report.state == RuleState::Enforced).count();
    let all = match enforced == reports.len() {
        true => "every rule is enforced".to_owned(),
        false => format!("{enforced} of {} rules are enforced", reports.len()),
    };
    let others = [RuleState::Off, RuleState::Unavailable].into_iter().filter_map(|state| {
        let rules: Vec<String> = reports
            .iter()
            .filter(|report| report.state == state)
            .map(|report| match report.detail.is_empty() {
                true => report.rule.to_string(),
                false => format!("{} ({})", report.rule, report.detail),
            })
            .collect();
        (!rules.is_empty()).then(|| format!("{}: {}", state.text(), rules.join(", ")))
    });
    std::iter::once(all).chain(others).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_told_by_what_holds() {
        let mut findings = vec![
            Finding { rule: Rule::Files, state: RuleState::Enforced, detail: "landlock 7" },
            Finding { rule: Rule::Calls, state: RuleState::Enforced, detail: "" },
        ];
        assert_eq!(text(&RuleReport::all(&findings)), "every rule is enforced");
        findings.push(Finding { rule: Rule::Network, state: RuleState::Off, detail: "all is granted" });
        findings.push(Finding { rule: Rule::Signals, state: RuleState::Unavailable, detail: "" });
        assert_eq!(
            text(&RuleReport::all(&findings)),
            "2 of 4 rules are enforced; off: network (all is granted); not available here: signals"
        );
    }
}
