//! The TypeScript compiler.

use super::found::{Failures, Items};
use super::lines::{Lazy, after, regex};

static ERROR: Lazy = regex!(r"^(?:(\S.*?)(?:\((\d+),(\d+)\):|:(\d+):(\d+) -) )?error (TS\d+): (.+)$");

pub(super) fn read(lines: &[&str]) -> Option<Failures> {
    let mut items = Items::default();
    for (at, line) in lines.iter().enumerate() {
        let Some(error) = ERROR.captures(line) else { continue };
        let number = |plain: usize, pretty: usize| error.get(plain).or_else(|| error.get(pretty)).map(|it| it.as_str());
        let place = match (error.get(1), number(2, 4), number(3, 5)) {
            (Some(file), Some(line), Some(column)) => Some(format!("{}:{line}:{column}", file.as_str())),
            _ => None,
        };
        // Each line of the explanation is indented further, and the last one is the actual cause.
        let explanation = after(lines, at).iter().take_while(|line| line.starts_with("  ")).last();
        let because = explanation.map(|line| format!(" … {}", line.trim())).unwrap_or_default();
        items.push_error(place.as_deref(), Some(&error[6]), format!("{}{because}", &error[7]));
    }
    Failures::new("tsc", items.errors(), items)
}
