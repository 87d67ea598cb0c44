//! The sink's state rides in the log: with the records, alone, over failures, rolls and restarts.

use super::super::control::Targets;
use super::super::control::tests::{cursor, floor, intent, partitions};
use super::super::entry::{self, Entries, Entry};
use super::super::format::segment_name;
use super::super::sim::Fault;
use super::*;

fn sum(controls: &[Control]) -> Targets {
    let mut targets = Targets::default();
    controls.iter().for_each(|control| targets.apply(control));
    targets
}

#[test]
fn controls_ride_behind_the_records_of_their_group() {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, config()).expect("opens");
    assert!(writer.last_group().body.is_empty());
    let controls = [partitions(0, 3), intent(0, 0, 1)];
    writer.append_group(NOW, &[batch(&[("s", "a"), ("r", "b")])], &controls).expect("appends");
    assert_eq!(*writer.targets(), sum(&controls));
    let last = writer.last_group();
    assert_eq!((last.sequences.clone(), &*last.node), (0..2, NODE));
    let streams: Vec<_> = entry::records(last.body).map(|(_, _, view)| view.stream).collect();
    assert_eq!(streams, ["s", "r"]);
    let found: Vec<_> = Entries::new(last.body, last.segment_id).flatten().collect();
    assert_eq!(found.len(), 4);
    assert_eq!(found[2..], controls.map(Entry::Control));

    writer.append_controls(NOW, &[cursor(0, 2)]).expect("appends");
    assert_eq!((writer.last_group().sequences, writer.next_sequence()), (2..2, 2));
    assert_eq!(topics(&fs, "s"), ["a"]);
    let before = fs.operations();
    writer.append_group(NOW, &[], &[]).expect("nothing to do");
    assert_eq!(fs.operations(), before);
}

#[test]
fn a_restart_knows_them_however_the_run_ended() {
    let all = [partitions(0, 3), floor(1), intent(0, 0, 1), cursor(0, 2), intent(0, 2, 2), intent(2, 0, 9)];
    for (name, clean, killed) in
        [("clean", true, false), ("killed", false, true), ("power cut", false, false)]
    {
        for segment_bytes in [4096 + 512 * 3, 1 << 20] {
            let fs = SimFs::new(1);
            let config = LogConfig { segment_bytes, ..config() };
            let (mut writer, _) = open(&fs, config.clone()).expect("opens");
            for (index, control) in all.iter().enumerate() {
                let control = std::slice::from_ref(control);
                let records = if index % 2 == 0 { vec![batch(&[("s", "a")])] } else { vec![] };
                writer.append_group(NOW, &records, control).expect("appends");
            }
            if clean {
                writer.close().expect("closes");
            }
            let mut fs = if killed { fs.kill() } else { fs.restart(3).0 };
            for run in 2..5 {
                let (writer, recovery) = open(&fs, config.clone()).expect("opens");
                assert_eq!(*writer.targets(), sum(&all), "{name}, run {run}");
                assert_eq!((recovery.next_sequence, recovery.notes.len()), (3, 0), "{name}, run {run}");
                drop(writer);
                fs = fs.kill();
            }
        }
    }
}

#[test]
fn a_failed_group_changes_nothing_and_goes_again() {
    for operation in 0..4 {
        let fs = SimFs::new(1);
        let (mut writer, _) = open(&fs, config()).expect("opens");
        writer.append_controls(NOW, &[cursor(0, 1)]).expect("appends");
        fs.fail_at(fs.operations() + operation, Fault::Io);
        let records = [batch(&[("s", "a")])];
        if writer.append_group(NOW, &records, &[cursor(0, 2)]).is_err() {
            assert_eq!(*writer.targets(), sum(&[cursor(0, 1)]));
            assert!(writer.last_group().body.is_empty());
            writer.append_group(NOW, &records, &[cursor(0, 2)]).expect("appends");
        }
        fs.heal();
        assert_eq!(*writer.targets(), sum(&[cursor(0, 2)]));
        let (writer, _) = open(&fs, config()).expect("opens");
        assert_eq!(*writer.targets(), sum(&[cursor(0, 2)]));
        assert_eq!(topics(&fs, "s"), ["a"]);
    }
}

#[test]
fn controls_before_a_group_that_failed_count_though_its_segment_is_superseded() {
    let mut superseded_alone = 0;
    for cut in 0..12 {
        for seed in 0..60 {
            let fs = SimFs::new(seed);
            let (mut writer, _) = open(&fs, config()).expect("opens");
            writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
            writer.append_controls(NOW, &[cursor(0, 7)]).expect("appends");
            fs.fail_at(fs.operations() + 1, Fault::Io);
            let records = [batch(&[("s", "b")])];
            assert!(writer.append_group(NOW, &records, &[cursor(0, 9)]).is_err());
            // The power fails while the next segment is made.
            fs.cut_at(fs.operations() + cut);
            let acknowledged = writer.append_group(NOW, &records, &[cursor(0, 9)]).is_ok();
            let (fs, _) = fs.restart(seed);
            superseded_alone += u64::from(count_segments(&fs) == 2);
            let (writer, recovery) = open(&fs, config()).expect("opens");
            assert_eq!(recovery.damage, [], "cut {cut}, seed {seed}");
            let expected = if acknowledged { 9..10 } else { 7..10 };
            let next = writer.targets().targets[&0].topics["t"].partitions[&0].next();
            assert!(expected.contains(&next), "cut {cut}, seed {seed}: {next}");
        }
    }
    assert!(superseded_alone > 50, "{superseded_alone}");
}

#[test]
fn segments_that_hold_only_controls_do_not_gather() {
    let fs = SimFs::new(1);
    let config = LogConfig { segment_bytes: 4096 + 512 * 8, ..config() };
    let (mut writer, _) = open(&fs, config.clone()).expect("opens");
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    let mut controls = Vec::new();
    for next in 0..500 {
        controls.push(cursor(next as u32 % 100, next));
        writer.append_controls(NOW, &controls[controls.len() - 1..]).expect("appends");
        assert!(count_segments(&fs) <= 3, "{:?}", fs.paths());
    }
    assert_eq!(*writer.targets(), sum(&controls));
    // A hundred partitions are more than a segment: it still takes more than its start.
    assert!(fs.used() < 64 * 1024, "{}", fs.used());
    let (writer, _) = open(&fs, config).expect("opens");
    assert_eq!(*writer.targets(), sum(&controls));
    assert_eq!(topics(&fs, "s"), ["a"]);
}

#[test]
fn what_is_not_delivered_is_not_deleted() {
    let fs = SimFs::new(1);
    let config = LogConfig { segment_bytes: 4096 + 512 * 2, retention_bytes: 1, ..config() };
    let (mut writer, _) = open(&fs, config.clone()).expect("opens");
    writer.set_floor(Some(0));
    for index in 0..6 {
        writer.append_group(NOW, &[batch(&[("s", &index.to_string())])], &[floor(0)]).expect("appends");
    }
    writer.retain(NOW);
    assert_eq!(topics(&fs, "s").len(), 6);
    // A start knows of the target before anybody tells it.
    drop(writer);
    let (mut writer, _) = open(&fs, config).expect("opens");
    assert_eq!(topics(&fs, "s").len(), 6);
    // Three records a segment.
    for (floor, left) in [(2, 6), (3, 3), (5, 3), (6, 0)] {
        writer.set_floor(Some(floor));
        writer.retain(NOW);
        assert_eq!(topics(&fs, "s").len(), left, "{floor}");
    }
}

#[test]
fn damage_that_may_have_swallowed_controls_is_told() {
    let log = || {
        let fs = SimFs::new(1);
        let (mut writer, _) = open(&fs, config()).expect("opens");
        writer.append_group(NOW, &[batch(&[("s", "a")])], &[cursor(0, 1)]).expect("appends");
        writer.append_controls(NOW, &[cursor(0, 5)]).expect("appends");
        writer.append_controls(NOW, &[cursor(1, 6)]).expect("appends");
        (fs, writer)
    };
    let path = Path::new(DIR).join(segment_name(1));
    let told = |recovery: &Recovery| recovery.notes.iter().any(|note| note.contains("delivered again"));
    for closed in [false, true] {
        let (fs, mut writer) = log();
        if closed {
            writer.close().expect("closes");
        }
        let mut content = fs.content(&path).expect("there");
        // The group with cursor(0, 5).
        content[4096 + 512 * 2 + 70] ^= 1;
        fs.put(&path, &content);
        let (writer, recovery) = open(&fs, config()).expect("opens");
        assert!(told(&recovery), "closed {closed}: {recovery:?}");
        assert_eq!(*writer.targets(), sum(&[cursor(0, 1), cursor(1, 6)]), "closed {closed}");
        let (_, recovery) = open(&fs, config()).expect("opens");
        assert!(!told(&recovery), "told once");
    }
    // The header is gone: what its groups say still counts.
    let (fs, _) = log();
    let mut content = fs.content(&path).expect("there");
    content[..4096].fill(7);
    fs.put(&path, &content);
    let (writer, recovery) = open(&fs, config()).expect("opens");
    assert!(told(&recovery));
    assert_eq!(*writer.targets(), sum(&[cursor(0, 5), cursor(1, 6)]));
    // Cut after a clean stop, where no records stood.
    let (fs, mut writer) = log();
    writer.close().expect("closes");
    let content = fs.content(&path).expect("there");
    fs.put(&path, &content[..4096 + 512 * 2]);
    let (_, recovery) = open(&fs, config()).expect("opens");
    assert!(told(&recovery), "{recovery:?}");
}
