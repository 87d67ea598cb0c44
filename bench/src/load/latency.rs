//! Times of one thread, counted as they happen: an HDR histogram of three digits up to two minutes.

use hdrhistogram::Histogram;

use crate::outcome::Latency;

/// The longest time told apart, in µs; what took longer counts as this.
const LONGEST_US: u64 = 120_000_000;
const DIGITS: u8 = 3;

/// A distribution that grows.
#[derive(Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Times {
    pub(crate) fn new() -> Times {
        // The bounds are constants that it takes, as the test shows.
        Times(Histogram::new_with_bounds(1, LONGEST_US, DIGITS).expect("the bounds are good"))
    }

    /// So many that took so many nanoseconds each.
    #[inline]
    pub(crate) fn record(&mut self, ns: u64, many: u64) {
        self.0.saturating_record_n((ns / 1_000).max(1), many);
    }

    /// Adds what the other has, and empties it.
    pub(crate) fn take(&mut self, other: &mut Times) {
        if !other.0.is_empty() {
            self.add(other);
            other.0.reset();
        }
    }

    /// Adds what the other has.
    pub(crate) fn add(&mut self, other: &Times) {
        // Both have the same bounds, so nothing is out of range.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn latency(&self) -> Latency {
        let counts = self.0.iter_recorded();
        Latency { counts: counts.map(|step| (step.value_iterated_to(), step.count_at_value())).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_three_digits_and_sums_are_exact() {
        let (mut one, mut two) = (Times::new(), Times::new());
        for us in [1, 999, 12_345, 119_000_000, 500_000_000] {
            one.record(us * 1_000, 2);
            two.record(us * 1_000 + 999, 1);
        }
        two.record(0, 1);
        let mut sum = one.latency();
        sum.add(&two.latency());
        let within = |value: u64, us: u64| value >= us && value <= us + us / 1_000;
        let expected = [(1, 4), (999, 3), (12_345, 3), (119_000_000, 3), (LONGEST_US, 3)];
        assert_eq!(sum.counts.len(), expected.len(), "{sum:?}");
        for (&(value, many), (us, expected)) in sum.counts.iter().zip(expected) {
            assert!(within(value, us) && many == expected, "{sum:?}");
        }
        one.take(&mut two);
        assert_eq!((one.latency(), two.latency()), (sum.clone(), Latency::default()));
        let mut none = Latency::default();
        none.add(&sum);
        none.add(&Latency::default());
        assert_eq!(none, sum);
    }
}
