//! Topic filters: parsing with `$share` [MQTT5 4.7, 4.8.2], and the naive matcher.
//!
//! Sessions parse what a SUBSCRIBE or UNSUBSCRIBE brought; every index of this crate takes the text
//! of a filter that was parsed here. [`matches()`] is the plain reading of the specification: the
//! indexes are tested against it, and it serves wherever there is one filter and one topic.

use crate::topic::{is_dollar, levels, split_level};

/// The longest filter in bytes, `$share/…/` included: what a length of two bytes can say.
pub const MAX_FILTER_BYTES: usize = 65_535;

/// The most levels of a filter. Topic names may have more; only `#` looks that deep.
pub const MAX_LEVELS: usize = 128;

const SHARE: &str = "$share";

/// Why a text is not a topic filter. All are Topic Filter Invalid (0x8F) to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No character at all [MQTT-4.7.3-1].
    #[error("the filter is empty")]
    Empty,
    /// More than [`MAX_FILTER_BYTES`] [MQTT-4.7.3-3].
    #[error("the filter is longer than 65535 bytes")]
    TooLong,
    /// `#` before the end or beside other characters [MQTT-4.7.1-1].
    #[error("# must be the last level and stand alone in it")]
    BadMultiLevel,
    /// `+` beside other characters [MQTT-4.7.1-2].
    #[error("+ must stand alone in its level")]
    BadSingleLevel,
    /// The character U+0000 [MQTT-4.7.3-2].
    #[error("the filter contains U+0000")]
    Nul,
    /// More than [`MAX_LEVELS`] levels: our limit, the specification has none.
    #[error("the filter has more than 128 levels")]
    TooManyLevels,
    /// A shared subscription that is not `$share/{group}/{filter}`.
    #[error("malformed shared subscription: {0}")]
    BadShare(ShareError),
}

/// What is wrong with a shared subscription [MQTT5 4.8.2].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShareError {
    /// `$share`, `$share/` or `$share//…` [MQTT-4.8.2-1].
    #[error("the group name is missing")]
    NoGroup,
    /// `+` or `#` in the group name [MQTT-4.8.2-1].
    #[error("the group name contains a wildcard")]
    WildcardInGroup,
    /// `$share/{group}` or `$share/{group}/` [MQTT-4.8.2-2].
    #[error("the filter after the group name is missing")]
    NoFilter,
    /// The filter within is a shared subscription again. Read apart from its group it would be
    /// taken for another group, so it is refused.
    #[error("a shared subscription within another")]
    Nested,
}

/// A legal topic filter, borrowed from the packet it came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filter<'a> {
    full: &'a str,
    group: Option<&'a str>,
    text: &'a str,
    /// Bytes of `text` before the slash of its first wildcard level; all of it when it has none.
    literal_bytes: usize,
    has_wildcard: bool,
}

impl<'a> Filter<'a> {
    /// Reads a filter as a SUBSCRIBE carries it.
    ///
    /// # Errors
    /// The first rule it breaks, see [`FilterError`]. Time is linear in the length of the text.
    pub fn parse(full: &'a str) -> Result<Filter<'a>, FilterError> {
        if full.is_empty() {
            return Err(FilterError::Empty);
        }
        if full.len() > MAX_FILTER_BYTES {
            return Err(FilterError::TooLong);
        }
        if full.contains('\0') {
            return Err(FilterError::Nul);
        }
        let (group, text) = split_share(full).map_err(FilterError::BadShare)?;
        let literal_bytes = check_levels(text)?;
        let has_wildcard = literal_bytes.is_some();
        Ok(Filter { full, group, text, literal_bytes: literal_bytes.unwrap_or(text.len()), has_wildcard })
    }

    /// The filter that topics are matched with: without `$share/{group}/`.
    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The whole text as the client wrote it.
    pub fn full(&self) -> &'a str {
        self.full
    }

    /// The group of a shared subscription; `None` for an ordinary one.
    pub fn share_group(&self) -> Option<&'a str> {
        self.group
    }

    /// Whether any level is `+` or `#`.
    pub fn has_wildcard(&self) -> bool {
        self.has_wildcard
    }

    /// The levels before the first wildcard, without the slash after them: `devices` of
    /// `devices/+/state`, `a/b` of `a/b`. `None` when the first level is a wildcard.
    pub fn literal_prefix(&self) -> Option<&'a str> {
        let wildcard_first = self.has_wildcard && matches!(split_level(self.text).0, "+" | "#");
        if wildcard_first { None } else { self.text.get(..self.literal_bytes) }
    }

    /// Whether this filter takes the topic; see [`matches()`].
    pub fn matches(&self, topic: &str) -> bool {
        matches(self.text, topic)
    }
}

/// The group, if the text is a shared subscription, and the filter.
fn split_share(full: &str) -> Result<(Option<&str>, &str), ShareError> {
    let (first, rest) = split_level(full);
    if first != SHARE {
        return Ok((None, full));
    }
    let (group, text) = split_level(rest.unwrap_or_default());
    if group.is_empty() {
        return Err(ShareError::NoGroup);
    }
    if group.contains(['+', '#']) {
        return Err(ShareError::WildcardInGroup);
    }
    let text = text.unwrap_or_default();
    if text.is_empty() {
        return Err(ShareError::NoFilter);
    }
    if split_level(text).0 == SHARE {
        return Err(ShareError::Nested);
    }
    Ok((Some(group), text))
}

/// Checks every level; answers the bytes of the literal prefix if there is a wildcard after it.
fn check_levels(text: &str) -> Result<Option<usize>, FilterError> {
    let (mut literal_bytes, mut bytes, mut count) = (None, 0_usize, 0_usize);
    let mut rest = Some(text);
    while let Some(tail) = rest {
        let (level, next) = split_level(tail);
        count += 1;
        match level {
            "#" if next.is_some() => return Err(FilterError::BadMultiLevel),
            "#" | "+" => literal_bytes = literal_bytes.or(Some(bytes.saturating_sub(1))),
            _ if level.contains('#') => return Err(FilterError::BadMultiLevel),
            _ if level.contains('+') => return Err(FilterError::BadSingleLevel),
            _ => {}
        }
        bytes += level.len() + 1;
        rest = next;
    }
    if count > MAX_LEVELS { Err(FilterError::TooManyLevels) } else { Ok(literal_bytes) }
}

/// Whether a legal filter (without `$share/{group}/`) takes a topic name.
///
/// `+` takes exactly one level, the empty one too; `#` takes its parent and all below it
/// [MQTT-4.7.1-2, MQTT-4.7.1-3]; a filter that begins with a wildcard takes no topic that begins
/// with `$` [MQTT-4.7.2-1]; everything else is compared byte by byte [MQTT-4.7.3-4].
/// Time is linear in the shorter text; there is no recursion.
pub fn matches(filter: &str, topic: &str) -> bool {
    if is_dollar(topic) && matches!(split_level(filter).0, "+" | "#") {
        return false;
    }
    let mut wanted = levels(filter).peekable();
    let mut given = levels(topic);
    while let Some(level) = wanted.next() {
        if level == "#" && wanted.peek().is_none() {
            return true;
        }
        match given.next() {
            Some(name) if level == "+" || level == name => {}
            _ => return false,
        }
    }
    given.next().is_none()
}

#[cfg(test)]
mod tests;
