//! Which partition a record goes to. A record with a key goes where Kafka's Java client sends it,
//! so that its consumers and other producers of the same topic agree.
//!
//! Pure functions of the record and the partition count: after a restart every record falls to the
//! same partition again. They may never change.

/// The partition of a record with this sequence and key (empty: none), of `count` partitions.
pub(crate) fn of(sequence: u64, key: &[u8], count: u32) -> u32 {
    if key.is_empty() { of_sequence(sequence, count) } else { of_key(key, count) }
}

/// The partition of a record with this key, of `count` partitions.
pub(crate) fn of_key(key: &[u8], count: u32) -> u32 {
    (murmur2(key) & 0x7fff_ffff).checked_rem(count).unwrap_or(0)
}

/// The partition of a record without a key, of `count` partitions.
///
/// Not `sequence % count`: two rules on one event take every other sequence each, and then one
/// topic would have half of its partitions empty. The bits are mixed as SplitMix64 does it.
pub(crate) fn of_sequence(sequence: u64, count: u32) -> u32 {
    let mixed = sequence.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mixed = ((mixed ^ (mixed >> 31)) >> 32) as u32;
    mixed.checked_rem(count).unwrap_or(0)
}

/// MurmurHash2, 32 bits, with the seed of Kafka's Java client.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    // Kafka's own length is an i32; keys are far shorter.
    let mut hash = SEED ^ data.len() as u32;
    let (words, tail) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    if !tail.is_empty() {
        let rest = tail.iter().rev().fold(0u32, |rest, &byte| (rest << 8) | u32::from(byte));
        hash = (hash ^ rest).wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by `org.apache.kafka.common.utils.Utils.murmur2` of kafka-clients 4.3.1.
    #[test]
    fn keys_hash_as_in_java() {
        let cases: &[(&str, i32, u32)] = &[
            ("", 275646681, 9),
            ("a", -1563381124, 12),
            ("ab", 316155434, 10),
            ("abc", 479470107, 11),
            ("21", -973932308, 12),
            ("foobar", -790332482, 14),
            ("lock-1", -1176823913, 7),
            ("device/17/temp", -2121079037, 3),
            ("10083618796833171", -1527803665, 15),
            ("a-little-bit-long-string", -985981536, 0),
            ("é€", 1912689889, 1),
        ];
        for &(key, hash, of_16) in cases {
            assert_eq!(murmur2(key.as_bytes()).cast_signed(), hash, "{key:?}");
            assert_eq!(of_key(key.as_bytes(), 16), of_16, "{key:?}");
            assert_eq!(of_key(key.as_bytes(), 1), 0, "{key:?}");
        }
    }

    #[test]
    fn no_partitions_are_partition_0() {
        assert_eq!(of_key(b"a", 0), 0);
        assert_eq!(of_sequence(7, 0), 0);
    }

    /// Upper halves of SplitMix64's first output for these seeds, computed apart from this code
    /// (for seed 0 it is the known 0xe220a8397b1dcdaf).
    #[test]
    fn sequences_fall_where_they_fell() {
        let places =
            [0, 1, 2, 3, u64::MAX].map(|sequence| (of_sequence(sequence, 16), of_sequence(sequence, 5)));
        assert_eq!(places, [(9, 3), (12, 1), (14, 4), (4, 3), (7, 2)]);
    }

    #[test]
    fn sequences_spread_evenly_at_every_stride() {
        for count in [2u32, 3, 4, 16, 50] {
            for stride in [1u64, 2, 3, 4, 16, 256] {
                let mut found = vec![0u32; count as usize];
                for n in 0..1000 * u64::from(count) {
                    found[of_sequence(n * stride, count) as usize] += 1;
                }
                let even = found.iter().all(|&found| (850..1150).contains(&found));
                assert!(even, "{count} partitions, stride {stride}: {found:?}");
            }
        }
    }
}
