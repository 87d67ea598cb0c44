//! A full disk: records wait, the sink's controls go on in the place of the reserve.

use super::super::control::tests::cursor;
use super::*;

const RESERVE: u64 = 64 * 1024;

fn settings() -> LogConfig {
    LogConfig { reserve_bytes: RESERVE, segment_bytes: 1 << 20, ..config() }
}

fn has_reserve(fs: &SimFs) -> bool {
    fs.content(&Path::new(DIR).join("reserve")).is_some_and(|content| content.len() as u64 == RESERVE)
}

/// A log with a record on a disk that is full now, and the batch that waits.
fn full() -> (SimFs, LogWriter, [Batch; 1]) {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, settings()).expect("opens");
    assert!(has_reserve(&fs));
    writer.append_group(NOW, &[batch(&[("s", "a")])], &[]).expect("appends");
    fs.set_capacity(Some(fs.used()));
    let waiting = [batch(&[("s", "b"); 100])];
    assert!(writer.append_group(NOW, &waiting, &[cursor(0, 1)]).is_err());
    (fs, writer, waiting)
}

#[test]
fn draining_never_stops() {
    let (fs, mut writer, waiting) = full();
    let capacity = fs.used().max(1);
    for next in 1..3000u64 {
        writer.append_controls(NOW + next, &[cursor(next as u32 % 20, next)]).expect("in the reserve");
        if next % 10 == 0 {
            assert!(writer.append_group(NOW + next, &waiting, &[]).is_err(), "records wait");
        }
        assert!(count_segments(&fs) <= 4, "{:?}", fs.paths());
        assert!(fs.used() <= capacity + RESERVE);
    }
    assert!(!has_reserve(&fs));
    // Also when making the reserve is tried again and again.
    for minute in 1..50 {
        let now = NOW + 60_000 * minute;
        writer.retain(now);
        assert!(writer.append_group(now, &waiting, &[]).is_err());
        writer.append_controls(now, &[cursor(0, 3000 + minute)]).expect("in the reserve");
    }
    fs.set_capacity(None);
    let later = NOW + 60_000 * 100;
    writer.append_group(later, &waiting, &[cursor(0, 4000)]).expect("there is space again");
    assert!(has_reserve(&fs));
    assert_eq!(topics(&fs, "s").len(), 101);
    let expected = writer.targets().clone();
    let (writer, recovery) = open(&fs.restart(1).0, settings()).expect("opens");
    assert_eq!((writer.targets(), recovery.damage.len()), (&expected, 0));
}

#[test]
fn a_start_on_a_full_disk_delivers_what_is_there() {
    let (fs, writer, waiting) = full();
    drop(writer);
    fs.set_capacity(Some(fs.used()));
    let (mut writer, recovery) = open(&fs, settings()).expect("in the place of the reserve");
    assert_eq!(recovery.next_sequence, 1);
    for next in 1..300 {
        writer.append_controls(NOW, &[cursor(0, next)]).expect("in the reserve");
    }
    assert!(writer.append_group(NOW, &waiting, &[]).is_err(), "records wait");
    fs.set_capacity(None);
    writer.append_group(NOW + 10_000, &waiting, &[]).expect("there is space again");
    assert_eq!(topics(&fs, "s").len(), 101);
}

#[test]
fn without_a_reserve_the_log_works_and_a_full_disk_is_an_error() {
    let fs = SimFs::new(1);
    let (mut writer, _) = open(&fs, LogConfig { reserve_bytes: 0, ..settings() }).expect("opens");
    assert!(!has_reserve(&fs));
    fs.set_capacity(Some(fs.used()));
    assert!(writer.append_controls(NOW, &[cursor(0, 1)]).is_err());
    fs.set_capacity(None);
    writer.append_controls(NOW, &[cursor(0, 1)]).expect("appends");
}

#[test]
fn a_reserve_that_was_not_finished_is_made_anew() {
    let fs = SimFs::new(1);
    fs.put(&Path::new(DIR).join("reserve"), &[0; 100]);
    fs.put(&Path::new(DIR).join("reserve.new"), &[0; 100]);
    let (_, _) = open(&fs, settings()).expect("opens");
    assert!(has_reserve(&fs));
    assert!(fs.content(&Path::new(DIR).join("reserve.new")).is_none());
}
