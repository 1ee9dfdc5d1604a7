//! Metrics
/// r
pub(crate) fn render() -> Vec<u8> {
    Vec::new()
}
