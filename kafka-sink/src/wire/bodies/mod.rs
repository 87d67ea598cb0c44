//! The bodies of the requests that the sink makes, and nothing of what they are for. Answers are
//! read as far as the sink needs them; error codes stay numbers.

pub(crate) mod api;
pub(crate) mod bytes;

pub(crate) mod admin;
pub(crate) mod fetch;
pub(crate) mod list_offsets;
pub(crate) mod metadata;
pub(crate) mod produce;
pub(crate) mod producers;

#[cfg(feature = "sim")]
pub mod any;

#[cfg(test)]
mod tests;
