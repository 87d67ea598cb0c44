//! The cases that take seconds: all at once, on as few brokers as their settings allow.

use crate::script::run_slowly;
use crate::{connect, connecting, expiry, kept, retaining, wills, wills5};

#[test]
fn cases_that_wait() {
    let tables = [
        connect::SILENT,
        wills::SILENT,
        connecting::KEEP_ALIVE,
        kept::IN_TIME,
        wills5::DELAYED,
        expiry::WAITING,
        retaining::EXPIRE,
    ];
    run_slowly(&[], &tables.concat());
}

#[test]
fn nothing_is_kept_longer_than_the_limits_allow() {
    let settings = ["limits.session_expiry_max=1s", "limits.retained_expiry=1s"];
    run_slowly(&settings, &[kept::AT_MOST, retaining::AT_MOST].concat());
}
