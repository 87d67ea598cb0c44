//! Times, sizes and server addresses as text.
//!
//! Called by [`super::value`] and the command line. Every text is allowed as input; nothing is read or kept.

use std::time::Duration;

/// Reads `1h30m`: whole numbers, each with a unit of `d h m s ms`, from the largest to the smallest.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, u64); 5] =
        [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let bad = || {
        format!("{text:?} is not a time: write whole numbers with units d, h, m, s or ms, as in \"1h30m\"")
    };
    let too_long = || format!("{text:?} is too long a time");
    let mut millis = 0_u64;
    let mut last_factor = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, after) = digits(rest).ok_or_else(bad)?;
        let unit_len = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_len).ok_or_else(bad)?;
        let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
        if factor >= last_factor {
            return Err(bad());
        }
        let number: u64 = number.parse().map_err(|_| too_long())?;
        millis = number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or_else(too_long)?;
        (last_factor, rest) = (factor, after);
    }
    if last_factor == u64::MAX { Err(bad()) } else { Ok(Duration::from_millis(millis)) }
}

/// Writes a time as [`parse_time`] reads it; parts of a millisecond are left out.
pub fn format_time(time: Duration) -> String {
    let mut rest = time.as_millis();
    let mut text = String::new();
    for (unit, factor) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if rest >= factor {
            text.push_str(&format!("{}{unit}", rest / factor));
            rest %= factor;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Reads `64KiB`, `10MB` or a plain number of bytes.
pub fn parse_size(text: &str) -> Result<u64, String> {
    const UNITS: [(&str, u64); 10] = [
        ("", 1),
        ("B", 1),
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("kB", 1_000),
        ("MB", 1_000_000),
        ("GB", 1_000_000_000),
        ("TB", 1_000_000_000_000),
    ];
    let bad = || {
        format!(
            "{text:?} is not a size: write bytes, or a whole number with KiB, MiB, GiB, TiB (1024) or kB, MB, GB, TB (1000)"
        )
    };
    let (number, unit) = digits(text).ok_or_else(bad)?;
    let (_, factor) = UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(bad)?;
    let number: Option<u64> = number.parse().ok();
    number.and_then(|n| n.checked_mul(factor)).ok_or_else(|| format!("{text:?} is too large a size"))
}

/// Writes a size as [`parse_size`] reads it.
pub fn format_size(bytes: i128) -> String {
    for (unit, shift) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes > 0 && bytes % (1_i128 << shift) == 0 {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

/// Whether `server` is `HOST:PORT` with a port of 1 to 65,535; an IPv6 address stands in brackets.
pub fn is_server(server: &str) -> bool {
    let Some((host, port)) = server.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host_ok = match bare {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.len() <= 253
                && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
        }
    };
    host_ok && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Splits off leading digits, at least one.
fn digits(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text.split_at_checked(end).filter(|(number, _)| !number.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, millis) in [
            ("7d", Some(604_800_000)),
            ("500ms", Some(500)),
            ("1h30m", Some(5_400_000)),
            ("1d2h3m4s5ms", Some(93_784_005)),
            ("0s", Some(0)),
            ("007s", Some(7_000)),
            ("90m", Some(5_400_000)),
            ("18446744073709551615ms", Some(u64::MAX)),
            ("18446744073709551616ms", None),
            ("18446744073709551615s", None),
            ("18446744073709551615ms1ms", None),
            ("", None),
            ("5", None),
            ("s", None),
            ("1.5h", None),
            ("-1s", None),
            ("+1s", None),
            ("1 s", None),
            (" 1s", None),
            ("1s ", None),
            ("1S", None),
            ("1w", None),
            ("1us", None),
            ("30m1h", None),
            ("1h1h", None),
            ("1sms", None),
            ("1é", None),
            ("١s", None),
        ] {
            let read = parse_time(text);
            assert_eq!(read.clone().ok(), millis.map(Duration::from_millis), "{text:?}: {read:?}");
            if let Ok(time) = read {
                assert_eq!(parse_time(&format_time(time)), Ok(time), "{text:?}");
            }
        }
        assert_eq!(format_time(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(format_time(Duration::ZERO), "0s");
        assert_eq!(format_time(Duration::from_millis(60_500)), "1m500ms");
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", Some(0)),
            ("1048576", Some(1 << 20)),
            ("512B", Some(512)),
            ("64KiB", Some(65_536)),
            ("10MB", Some(10_000_000)),
            ("1kB", Some(1_000)),
            ("1GiB", Some(1 << 30)),
            ("2GB", Some(2_000_000_000)),
            ("3TiB", Some(3 << 40)),
            ("1TB", Some(1_000_000_000_000)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("16777216TiB", None),
            ("", None),
            ("KiB", None),
            ("64K", None),
            ("64k", None),
            ("64KB", None),
            ("64kib", None),
            ("64 KiB", None),
            ("1.5GiB", None),
            ("-1", None),
            ("1e6", None),
        ] {
            let read = parse_size(text);
            assert_eq!(read.clone().ok(), bytes, "{text:?}: {read:?}");
            if let Ok(size) = read {
                assert_eq!(parse_size(&format_size(i128::from(size))), Ok(size), "{text:?}");
            }
        }
        assert_eq!(format_size(1 << 20), "1MiB");
        assert_eq!(format_size(1_000_000), "1000000B");
        assert_eq!(format_size(-5), "-5B");
    }

    #[test]
    fn servers() {
        for (text, ok) in [
            ("127.0.0.1:9092", true),
            ("kafka-1.example.org:9092", true),
            ("kafka_1:1", true),
            ("[::1]:65535", true),
            ("localhost", false),
            ("localhost:", false),
            (":9092", false),
            ("localhost:0", false),
            ("localhost:65536", false),
            ("localhost:+1", false),
            ("::1:9092", false),
            ("[::g]:9092", false),
            ("a b:9092", false),
            ("http://a:9092", false),
            ("", false),
        ] {
            assert_eq!(is_server(text), ok, "{text:?}");
        }
    }
}
