//! What all graphs share: escaped text, colours, legend, and the frame of the document.

use std::fmt::Write;

/// Colours of series: told apart by eyes of all kinds (after Okabe and Ito), on white and on dark. Beyond them they
/// repeat, paler.
pub(crate) const PALETTE: [&str; 8] =
    ["#2f86c8", "#dc6a1a", "#159a74", "#c468a6", "#a98a12", "#4fb0e0", "#808080", "#9a6248"];

/// The style of a graph that stands alone. Mid-greys: it does not know what is behind it.
const FILE_STYLE: &str = "text{font:12px system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#808080}\
.title{font-size:14px;font-weight:600}.axis{stroke:#808080}.grid{stroke:#808080;stroke-opacity:.25}\
.shade{fill:#808080;fill-opacity:.12}.mark{stroke:#d03b3b;stroke-width:2}\
.inside{stroke:#fff;stroke-opacity:.7}\
.pale{opacity:.5}";

/// Height of a line of the legend.
const LEGEND_LINE: f64 = 18.0;

/// The classes of the series with this number.
pub(crate) fn colour_class(colour: usize) -> String {
    let pale = if colour % (2 * PALETTE.len()) < PALETTE.len() { "" } else { " pale" };
    format!("s{}{pale}", colour % PALETTE.len())
}

/// Text as it may stand in SVG and HTML, in attributes as well. Characters that XML has no place for are left out.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' | '\r' => out.push(character),
            '\u{fffe}' | '\u{ffff}' => {}
            character if character < ' ' => {}
            character => out.push(character),
        }
    }
    out
}

/// About how wide a text is at 12 pixels: what any sans-serif font needs at most, on average.
pub(super) fn width(text: &str) -> f64 {
    text.chars().count() as f64 * 7.2
}

/// Wraps a file's content: size, style, title for those who cannot see it.
pub(super) fn file(width: u32, height: u32, title: &str, content: &str) -> String {
    let mut style = FILE_STYLE.to_owned();
    for (index, colour) in PALETTE.iter().enumerate() {
        let _ = write!(style, ".s{index}{{color:{colour}}}");
    }
    let title = escape(title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" aria-label=\"{title}\">\n<style>{style}</style>\n{content}</svg>\n"
    )
}

/// A text; `anchor` is `start`, `middle` or `end`.
pub(super) fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, class: &str, content: &str) {
    let class = if class.is_empty() { String::new() } else { format!(" class=\"{class}\"") };
    let content = escape(content);
    let _ = writeln!(out, "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\"{class}>{content}</text>");
}

pub(super) fn line(out: &mut String, class: &str, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        out,
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
    );
}

/// Names with the sign of their series, in as many lines as they need, from `top` on; the height they take. `sign`
/// draws into 18 pixels from the given point.
pub(super) fn legend(
    out: &mut String,
    (left, right): (f64, f64),
    top: f64,
    names: &[&str],
    mut sign: impl FnMut(&mut String, usize, (f64, f64)),
) -> f64 {
    let (mut x, mut y) = (left, top + LEGEND_LINE / 2.0);
    for (index, name) in names.iter().enumerate() {
        let wide = 24.0 + width(name) + 14.0;
        if x + wide > right && x > left {
            (x, y) = (left, y + LEGEND_LINE);
        }
        sign(out, index, (x, y));
        text(out, (x + 24.0, y + 4.0), "start", "", name);
        x += wide;
    }
    y + LEGEND_LINE / 2.0 - top
}
