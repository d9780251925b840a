//! What holds for an index, whatever its file says: for the fuzz targets and the property tests.

use std::path::Path;

use super::day::DayIndex;
use super::row::Row;
use crate::id::JobId;
use crate::store::Query;

/// Checks the index of a day whose file, written to `path`, has these bytes.
pub(crate) fn check_index(bytes: &[u8], path: &Path) {
    std::fs::write(path, bytes).expect("it is written");
    for any_boot in [true, false] {
        let Ok(Some(mut index)) = DayIndex::open(path, any_boot) else { continue };
        let mut rows: Vec<Row> = Vec::new();
        let visited = index.visit(&mut |row| {
            rows.extend(row);
            true
        });
        let is_in_order = visited.expect("what is there can be read");
        assert!(rows.len() * size_of::<Row>() <= bytes.len(), "there are more rows than bytes");
        for row in &rows {
            let id: JobId = row.id().expect("a sound row has an id");
            assert!(row.is_of(id));
            let _ = (row.state(), row.ended_at(), row.output_bytes(), format!("{row:?}"));
            row.may_match(&Query::default());
            let (number, found) = index.find(id, None).expect("it is read").expect("it is there");
            assert_eq!(found.id(), Some(id));
            index.set(number, &found).expect("it is written");
        }
        let absent: JobId = "01a1fdae-f732-79d8-863c-36d74826f0c8".parse().expect("an id");
        for hint in [None, Some(0), Some(u64::MAX)] {
            let found = index.find(absent, hint).expect("it is read");
            assert!(found.is_none_or(|(_, row)| row.id() == Some(absent)), "the row of another job");
        }
        if is_in_order {
            let pushed = Row::new(absent, None);
            let number = index.push(&pushed).expect("it is written");
            assert_eq!(index.find(absent, Some(number)).expect("it is read"), Some((number, pushed)));
        }
    }
}
