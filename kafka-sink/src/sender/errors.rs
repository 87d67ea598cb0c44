//! Kafka's error codes for a produced batch: THE table, and what each means for the batch.

/// What a code says of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Confirmed, now or by an earlier attempt.
    Done,
    /// Not taken, for a reason that passes: send the same again.
    Again,
    /// As `Again`, and it may have been taken.
    Unsure,
    /// A sequence was expected that is not ours: ask what the leader knows.
    OutOfOrder,
    /// Its records are refused and always will be: halve, and set the offender aside.
    Refused,
    /// Its timestamps are refused: stamp it with the time of sending.
    Timestamp,
    /// The topic cannot be written until somebody changes something in Kafka.
    ParkTopic,
    /// Nothing can be written until somebody changes something.
    ParkTarget,
}

/// Code, name, verdict. Codes that are not here are `Unsure`: safe, and an alert if it lasts.
const TABLE: &[(i16, &str, Verdict)] = &[
    (0, "NONE", Verdict::Done),
    (2, "CORRUPT_MESSAGE", Verdict::Again),
    (3, "UNKNOWN_TOPIC_OR_PARTITION", Verdict::Again),
    (5, "LEADER_NOT_AVAILABLE", Verdict::Again),
    (6, "NOT_LEADER_OR_FOLLOWER", Verdict::Again),
    (7, "REQUEST_TIMED_OUT", Verdict::Unsure),
    (9, "REPLICA_NOT_AVAILABLE", Verdict::Again),
    (10, "MESSAGE_TOO_LARGE", Verdict::Refused),
    (13, "NETWORK_EXCEPTION", Verdict::Unsure),
    (14, "COORDINATOR_LOAD_IN_PROGRESS", Verdict::Again),
    (15, "COORDINATOR_NOT_AVAILABLE", Verdict::Again),
    (16, "NOT_COORDINATOR", Verdict::Again),
    (17, "INVALID_TOPIC_EXCEPTION", Verdict::ParkTopic),
    (18, "RECORD_LIST_TOO_LARGE", Verdict::Refused),
    (19, "NOT_ENOUGH_REPLICAS", Verdict::Again),
    (20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", Verdict::Unsure),
    (29, "TOPIC_AUTHORIZATION_FAILED", Verdict::ParkTopic),
    (31, "CLUSTER_AUTHORIZATION_FAILED", Verdict::ParkTopic),
    (32, "INVALID_TIMESTAMP", Verdict::Timestamp),
    (36, "TOPIC_ALREADY_EXISTS", Verdict::Again),
    (37, "INVALID_PARTITIONS", Verdict::ParkTopic),
    (38, "INVALID_REPLICATION_FACTOR", Verdict::ParkTopic),
    (41, "NOT_CONTROLLER", Verdict::Again),
    (43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", Verdict::Refused),
    (44, "POLICY_VIOLATION", Verdict::Refused),
    (45, "OUT_OF_ORDER_SEQUENCE_NUMBER", Verdict::OutOfOrder),
    (46, "DUPLICATE_SEQUENCE_NUMBER", Verdict::Done),
    (47, "INVALID_PRODUCER_EPOCH", Verdict::ParkTarget),
    (56, "KAFKA_STORAGE_ERROR", Verdict::Unsure),
    (58, "SASL_AUTHENTICATION_FAILED", Verdict::ParkTarget),
    (59, "UNKNOWN_PRODUCER_ID", Verdict::OutOfOrder),
    (74, "FENCED_LEADER_EPOCH", Verdict::Again),
    // The records are good, the codec is not: whoever set it can set another.
    (76, "UNSUPPORTED_COMPRESSION_TYPE", Verdict::ParkTopic),
    (78, "OFFSET_NOT_AVAILABLE", Verdict::Again),
    (87, "INVALID_RECORD", Verdict::Refused),
    (89, "THROTTLING_QUOTA_EXCEEDED", Verdict::Again),
    (90, "PRODUCER_FENCED", Verdict::ParkTarget),
];

fn row(code: i16) -> Option<&'static (i16, &'static str, Verdict)> {
    TABLE.binary_search_by_key(&code, |row| row.0).ok().and_then(|at| TABLE.get(at))
}

/// What `code` means for the batch it came for.
pub(super) fn verdict(code: i16) -> Verdict {
    row(code).map_or(Verdict::Unsure, |row| row.2)
}

/// Kafka's name of the code, for people.
pub(crate) fn name(code: i16) -> String {
    row(code).map_or_else(|| format!("error {code}"), |row| row.1.to_owned())
}

/// UNKNOWN_TOPIC_OR_PARTITION.
pub(super) const MISSING: i16 = 3;
/// TOPIC_ALREADY_EXISTS.
pub(super) const EXISTS: i16 = 36;
/// NOT_LEADER_OR_FOLLOWER.
pub(super) const NOT_LEADER: i16 = 6;
/// CORRUPT_MESSAGE.
pub(super) const CORRUPT: i16 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_unknown_codes_are_never_taken_for_an_answer() {
        assert!(TABLE.is_sorted_by_key(|row| row.0));
        assert_eq!(verdict(0), Verdict::Done);
        for unknown in [-1, 1, 999, i16::MIN, i16::MAX] {
            assert_eq!(verdict(unknown), Verdict::Unsure, "{unknown}");
        }
        assert_eq!(name(10), "MESSAGE_TOO_LARGE");
        assert_eq!(name(-7), "error -7");
    }
}
