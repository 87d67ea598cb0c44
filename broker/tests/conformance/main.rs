//! MQTT as clients see it: a table of short conversations for each part of the protocol, spoken with a live broker on
//! two cores, each case once with its clients on one core and once apart. Names begin with the statement of the
//! specification: `v5_3_1_2_24` is [MQTT-3.1.2-24] of 5.0, `v311_…` of 3.1.1, `v31_3_1` a section of 3.1, `any_…` is played
//! in several versions and says so in its first lines. `statements/` lists all statements, coverage.rs holds every one
//! that binds a server against the cases, and COVERAGE.md shows the result. The language of the cases is in script.rs.

#[path = "../support/mod.rs"]
mod support;

mod script;
mod stage;

mod aliases;
mod connect;
mod connecting;
mod coverage;
mod exchanges;
mod expiry;
mod flow;
mod flow5;
mod forwarded;
mod kept;
mod limits;
mod modules;
mod offers;
mod ordering;
mod overlap;
mod plain;
mod publish;
mod retained;
mod retaining;
mod sessions;
mod shared;
mod sharing;
mod slow;
mod subscribe;
mod sys;
mod texts;
mod vectors;
mod volume;
mod wills;
mod wills5;
