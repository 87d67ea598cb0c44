//! Time as a value. Only `worker` reads a clock, once a turn; everything below it gets `Now` as an argument,
//! so that tests and the simulator decide what time it is.

/// One reading of both clocks, taken once a turn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds since the process started; never steps back. All deadlines use it.
    pub mono_ms: u64,
    /// Unix milliseconds, for records only; may step.
    pub unix_ms: u64,
}
