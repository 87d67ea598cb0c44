//! Entries: every event comes back as it was; what is wrong is noticed; what is unknown is skipped.

use proptest::prelude::*;

use super::view::view;
use super::*;

const ID: u64 = 77;

fn rule() -> Rule {
    Rule::new(9, "hook", EventKind::MessagePublish, "message_state").expect("a valid name")
}

fn round_trip(event: &Event<'_>) {
    let mut bytes = Vec::new();
    append_record(&mut bytes, &rule(), event);
    assert_eq!(bytes.len(), record_len(event, &rule()));
    assert_eq!(record_stream(&bytes), Some((&b"message_state"[..], bytes.len())));
    number_record(&mut bytes, crc_seed(ID), 3, 1000, 50);
    let mut entries = Entries::new(&bytes, ID);
    let Some(Some(Entry::Record(stored))) = entries.next() else { panic!("a record") };
    assert_eq!(stored.event, *event);
    assert_eq!((stored.run, stored.sequence, stored.offset), (3, 1000, 50));
    assert_eq!((stored.stream, stored.key), ("message_state", event.client_id));
    assert_eq!(entries.next(), None);
    assert_eq!(Entries::new(&bytes, ID + 1).next(), Some(None), "of another segment");
}

fn data<'a>(kind: u8, topic: &'a str, from: &'a str, payload: &'a [u8], number: u16) -> EventData<'a> {
    let qos = (number % 3) as u8;
    match kind {
        0 => EventData::Connected {
            keepalive: number,
            proto_ver: 5,
            clean_start: number.is_multiple_of(2),
            ip: if number.is_multiple_of(3) {
                IpAddr::from([10, 0, 0, number as u8])
            } else {
                IpAddr::from([number; 8])
            },
        },
        1 => EventData::Disconnected { reason: topic },
        2 => EventData::Subscribed { filter: topic, qos },
        3 => EventData::Unsubscribed { filter: topic, qos },
        4 => EventData::Publish { topic, payload, qos, packet_id: number },
        5 => EventData::Deliver { from, topic, payload, qos },
        _ => EventData::Acked { from, topic, payload, qos },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn every_event_comes_back(
        kind in 0u8..7, client_id in any::<String>(), username in any::<String>(), topic in any::<String>(),
        from in any::<String>(), payload in proptest::collection::vec(any::<u8>(), 0..500),
        number in any::<u16>(), ts_ms in any::<u64>(),
    ) {
        let data = data(kind, &topic, &from, &payload, number);
        round_trip(&Event { ts_ms, client_id: &client_id, username: &username, data });
    }

    #[test]
    fn any_bytes_are_walked_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let count = Entries::new(&bytes, ID).count();
        prop_assert!(count <= bytes.len() / PREFIX + 1);
        let _ = record_stream(&bytes);
        // With a right CRC the fields are reached.
        let mut entry = vec![0; PREFIX];
        entry[4..8].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
        entry.extend_from_slice(&bytes);
        let _ = (view(&bytes), event(&bytes), records(&bytes).count());
        for kind in 0..10 {
            if let Some(first) = entry.get_mut(PREFIX) {
                *first = kind;
            }
            let crc = crc32c::crc32c_append(crc_seed(ID), &entry[4..]);
            entry[..4].copy_from_slice(&crc.to_le_bytes());
            let found: Vec<_> = Entries::new(&entry, ID).collect();
            prop_assert_eq!(found.len(), 1);
            prop_assert_eq!(event(&entry).is_some(), matches!(&found[0], Some(Entry::Record(_))));
            // The first look reads less, and may take what a whole look refuses.
            prop_assert!(view(&entry).is_some() || event(&entry).is_none());
        }
    }
}

#[test]
fn texts_longer_than_mqtt_allows_are_clipped() {
    let long = "ü".repeat(40_000);
    let data = EventData::Subscribed { filter: &long, qos: 0 };
    let event = Event { ts_ms: 0, client_id: "c", username: "", data };
    let mut bytes = Vec::new();
    append_record(&mut bytes, &rule(), &event);
    number_record(&mut bytes, crc_seed(ID), 1, 1, 1);
    let Some(Some(Entry::Record(stored))) = Entries::new(&bytes, ID).next() else { panic!("a record") };
    let clipped = EventData::Subscribed { filter: &long[..65_534], qos: 0 };
    assert_eq!(stored.event.data, clipped);
}

#[test]
fn control_entries_and_kinds_of_later_versions() {
    let start = RunStart { run: 4, started_ms: 5, previous_end: 6, previous_clean: true };
    let mut bytes = Vec::new();
    append_run_start(&mut bytes, ID, start);
    append_control(&mut bytes, ID, 200, |out| out.extend_from_slice(b"what later versions know"));
    append_control(&mut bytes, ID, 9, |_| {});
    append_stream_table(&mut bytes, ID, [("a", 1), ("message_state", u64::MAX)].into_iter());
    let entries: Vec<_> = Entries::new(&bytes, ID).collect();
    assert_eq!(
        entries,
        [
            Some(Entry::RunStart(start)),
            Some(Entry::Unknown),
            Some(Entry::Unknown),
            Some(Entry::StreamTable(vec![("a", 1), ("message_state", u64::MAX)])),
        ]
    );
}

#[test]
fn a_flipped_bit_spoils_its_entry_only() {
    let event = Event { ts_ms: 0, client_id: "c", username: "", data: data(4, "t", "", b"payload", 1) };
    let mut bytes = Vec::new();
    for index in 0..3u64 {
        let start = bytes.len();
        append_record(&mut bytes, &rule(), &event);
        number_record(&mut bytes[start..], crc_seed(ID), 1, index, index);
    }
    let len = bytes.len() / 3;
    for bit in len * 8..2 * len * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let entries: Vec<_> = Entries::new(&bad, ID).collect();
        assert!(matches!(entries[0], Some(Entry::Record(Stored { sequence: 0, .. }))), "bit {bit}");
        assert_eq!(entries[1], None, "bit {bit}");
        let in_length = (len * 8 + 32..len * 8 + 64).contains(&bit);
        if !in_length {
            assert!(matches!(entries[2], Some(Entry::Record(Stored { sequence: 2, .. }))), "bit {bit}");
        }
    }
}

#[test]
fn a_first_look_sees_records_only() {
    let event_of = |client_id| Event { ts_ms: 9, client_id, username: "u", data: data(4, "t", "", b"p", 1) };
    let mut bytes = Vec::new();
    append_stream_table(&mut bytes, ID, [("a", 1)].into_iter());
    let mut places = Vec::new();
    for (index, client_id) in ["one", "", "three"].into_iter().enumerate() {
        let start = bytes.len();
        append_record(&mut bytes, &rule(), &event_of(client_id));
        set_core(&mut bytes[start..], 40 + index as u8);
        number_record(&mut bytes[start..], crc_seed(ID), 3, 1000 + index as u64, 50);
        places.push((start, bytes.len() - start));
        append_control(&mut bytes, ID, 200, |_| {});
    }
    assert!(Entries::new(&bytes, ID).all(|entry| entry.is_some()), "the CRC covers the core");
    let seen: Vec<_> = records(&bytes).collect();
    assert_eq!(seen.iter().map(|(at, len, _)| (*at, *len)).collect::<Vec<_>>(), places);
    for (index, (at, len, view)) in seen.into_iter().enumerate() {
        let key = ["one", "", "three"][index];
        let expected = View {
            sequence: 1000 + index as u64,
            ts_ms: 9,
            rule: 9,
            target: 0,
            core: 40 + index as u8,
            stream: "message_state",
            key: key.as_bytes(),
        };
        assert_eq!(view, expected);
        let stored = event(&bytes[at..at + len]).expect("a record");
        assert_eq!((stored.key, stored.event), (key, event_of(key)));
    }
    assert_eq!((view(&bytes), event(&bytes)), (None, None), "the first entry is no record");
}
