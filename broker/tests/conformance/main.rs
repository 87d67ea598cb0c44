//! MQTT as clients see it: a table of short conversations for each part of the protocol, spoken with a live broker on
//! two cores, each case once with its clients on one core and once apart. Names begin with the statement of the
//! specification: `v5_3_1_2_24` is [MQTT-3.1.2-24] of 5.0, `v311_…` of 3.1.1, `v31_3_1` a section of 3.1.

#[path = "../support/mod.rs"]
mod support;

mod script;

mod aliases;
mod connect;
mod flow;
mod limits;
mod modules;
mod ordering;
mod overlap;
mod publish;
mod retained;
mod sessions;
mod subscribe;
mod sys;
mod vectors;
mod volume;
mod wills;
