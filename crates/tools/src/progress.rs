//! Whoever wants to hear how far a call is.

/// Is told how far a call is; must not block. `()` hears nothing.
pub trait Progress: Send + Sync {
    /// So much of so much is done. `done` grows with every report.
    fn report(&self, done: f64, total: Option<f64>, message: &str);
}

impl Progress for () {
    fn report(&self, _done: f64, _total: Option<f64>, _message: &str) {}
}
