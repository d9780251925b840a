//! The layout of the screen.

use ratatui::layout::Rect;

/// The width from which the output is beside the jobs instead of below them.
const WIDE: u16 = 180;
/// The least number of rows for showing both jobs and output.
const FOR_BOTH: u16 = 12;

/// The layout of the screen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Areas {
    /// The figures of the store.
    pub(super) header: Rect,
    /// The titles of the columns.
    pub(super) titles: Rect,
    pub(super) list: Rect,
    /// The title of the output.
    pub(super) pane_title: Rect,
    pub(super) pane: Rect,
    /// The keys, a question or a message.
    pub(super) footer: Rect,
}

impl Areas {
    /// Divides a screen into areas.
    pub(super) fn of(columns: u16, rows: u16, has_pane: bool) -> Self {
        let all = Rect::new(0, 0, columns, rows);
        let (header, rest) = top(all, 2);
        let (rest, footer) = bottom(rest, 1);
        if !has_pane || rest.height < FOR_BOTH {
            let (titles, list) = top(rest, 1);
            return Self { header, titles, list, footer, ..Self::default() };
        }
        let (jobs, output) = match columns >= WIDE {
            true => {
                let width = columns / 2;
                let output = Rect { x: width + 1, width: columns - width - 1, ..rest };
                (Rect { width, ..rest }, output)
            }
            false => bottom(rest, rest.height / 2),
        };
        let (titles, list) = top(jobs, 1);
        let (pane_title, pane) = top(output, 1);
        Self { header, titles, list, pane_title, pane, footer }
    }
}

/// Divides an area into its first rows and the rest.
fn top(area: Rect, rows: u16) -> (Rect, Rect) {
    let height = rows.min(area.height);
    (Rect { height, ..area }, Rect { y: area.y + height, height: area.height - height, ..area })
}

/// Divides an area into its last rows and the rest, the rest first.
fn bottom(area: Rect, rows: u16) -> (Rect, Rect) {
    let height = rows.min(area.height);
    let rest = area.height - height;
    (Rect { height: rest, ..area }, Rect { y: area.y + rest, height, ..area })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_or_leaves_the_screen() {
        for (columns, rows) in [(0, 0), (1, 1), (5, 2), (80, 24), (80, 13), (179, 50), (180, 50), (300, 80)] {
            for has_pane in [false, true] {
                let areas = Areas::of(columns, rows, has_pane);
                let all = [areas.header, areas.titles, areas.list, areas.pane_title, areas.pane, areas.footer];
                let screen = Rect::new(0, 0, columns, rows);
                for (place, area) in all.iter().enumerate() {
                    assert_eq!(area.intersection(screen).area(), area.area(), "{columns}x{rows}: {areas:?}");
                    let others = all.iter().skip(place + 1);
                    assert!(others.clone().all(|other| other.intersection(*area).is_empty()), "{areas:?}");
                }
            }
        }
    }
}
