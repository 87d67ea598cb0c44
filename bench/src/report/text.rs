//! Numbers and tables as people read them: three digits that matter, units that fit, columns that line up.

/// A whole number with its thousands apart: `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A number with three digits that matter: `0.0123`, `1.23`, `12.3`, `123`, `12,345`.
pub(crate) fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let size = value.abs();
    // Thresholds are where rounding would bring a fourth digit.
    let decimals = match size {
        _ if size == 0.0 || size >= 99.95 => 0,
        _ if size >= 9.995 => 1,
        _ if size >= 0.9995 => 2,
        _ if size >= 0.09995 => 3,
        _ => 4,
    };
    if decimals > 0 {
        return format!("{value:.decimals$}");
    }
    let sign = if value <= -0.5 { "-" } else { "" };
    format!("{sign}{}", count(size.round() as u64))
}

/// A time given in µs: `412 µs`, `1.23 ms`, `12.3 s`.
pub(crate) fn micros(us: f64) -> String {
    match us.abs() {
        size if size < 999.5 => format!("{} µs", number(us)),
        size if size < 999_500.0 => format!("{} ms", number(us / 1e3)),
        _ => format!("{} s", number(us / 1e6)),
    }
}

/// A number of bytes: `389 B`, `12.3 KiB`, `1.20 GiB`.
pub(crate) fn bytes(value: f64) -> String {
    let mut value = value;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        // Up to 9,999 bytes stay bytes: what a connection takes is compared by them.
        let enough = if unit == "B" { 9_999.5 } else { 1_023.5 };
        if value.abs() < enough {
            return format!("{} {unit}", number(value));
        }
        value /= 1_024.0;
    }
    format!("{} TiB", number(value))
}

/// A ratio: `1.05×`. Two decimals at least, for ratios near one are what is looked at.
pub(crate) fn ratio(value: f64) -> String {
    if value.is_finite() && value < 99.95 { format!("{value:.2}×") } else { format!("{}×", number(value)) }
}

/// A moment in UTC: `2026-11-23 00:45:10 UTC`; empty for none.
pub(crate) fn moment(unix_ms: u64) -> String {
    if unix_ms == 0 {
        return String::new();
    }
    let seconds = unix_ms / 1_000;
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days: years that begin in March end with the leap day, eras of 400 years repeat.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Rows of cells as lines with aligned columns: the first to the left, the others to the right. The first row is the
/// heading where there is one.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, cell) in row.iter().enumerate() {
            let pad = " ".repeat(widths[column] - cell.chars().count());
            line.push_str(&if column == 0 { format!("{cell}{pad}") } else { format!("  {pad}{cell}") });
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_matter() {
        let cases = [
            (0.0, "0"),
            (0.01234, "0.0123"),
            (0.09996, "0.100"),
            (0.123_4, "0.123"),
            (0.999_9, "1.00"),
            (1.234, "1.23"),
            (9.996, "10.0"),
            (12.34, "12.3"),
            (99.96, "100"),
            (-1.5, "-1.50"),
            (-1_234.4, "-1,234"),
            (1_234_567.0, "1,234,567"),
            (f64::NAN, "–"),
            (f64::INFINITY, "–"),
        ];
        for (value, expected) in cases {
            assert_eq!(number(value), expected, "{value}");
        }
    }

    #[test]
    fn units_fit() {
        let times =
            [(0.0, "0 µs"), (412.0, "412 µs"), (999.6, "1.00 ms"), (12_345.0, "12.3 ms"), (2e6, "2.00 s")];
        for (value, expected) in times {
            assert_eq!(micros(value), expected, "{value}");
        }
        let sizes = [
            (389.0, "389 B"),
            (5_357.0, "5,357 B"),
            (12_600.0, "12.3 KiB"),
            (1_048_576.0, "1.00 MiB"),
            (3.5e9, "3.26 GiB"),
            (3e13, "27.3 TiB"),
        ];
        for (value, expected) in sizes {
            assert_eq!(bytes(value), expected, "{value}");
        }
        let ratios = [(1.0, "1.00×"), (0.333, "0.33×"), (123.4, "123×"), (f64::NAN, "–×")];
        for (value, expected) in ratios {
            assert_eq!(ratio(value), expected, "{value}");
        }
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        let cases = [
            (0, ""),
            (1_574_744_434_000, "2019-11-26 05:00:34 UTC"),
            (951_782_400_000, "2000-02-29 00:00:00 UTC"),
            (1_709_251_199_999, "2024-02-29 23:59:59 UTC"),
            (1_735_689_600_000, "2025-01-01 00:00:00 UTC"),
        ];
        for (unix_ms, expected) in cases {
            assert_eq!(moment(unix_ms), expected);
        }
    }

    #[test]
    fn columns_line_up_by_characters_not_bytes() {
        let cell = |text: &str| text.to_owned();
        let rows = [vec![cell("µ"), cell("1")], vec![cell("two"), cell("12 µs")], vec![cell("x")]];
        assert_eq!(table(&rows), "µ        1\ntwo  12 µs\nx\n");
    }
}
