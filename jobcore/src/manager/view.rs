//! Views of a job's output, read chunk by chunk.

use super::{JobManager, OutputReader};
use crate::error::Result;
use crate::id::JobId;
use crate::output::{Cursor, Excerpt, OutputQuery, Position, Stream, View, Viewed, Viewer};
use crate::shape::OutputShape;

impl JobManager {
    /// Reads a part of a view of a job's output: its first lines, as far as the limits of the query allow, or with a
    /// budget its first and last lines. It covers the output that existed at the beginning; the memory needed does not
    /// depend on how much that is.
    ///
    /// If only matching lines are shown, or lines are folded, everything that the query covers is read. Otherwise what
    /// is between the first and the last lines is skipped.
    ///
    /// # Errors
    /// As [`JobManager::output`] and [`JobManager::job`].
    pub async fn view(&self, id: JobId, query: &OutputQuery, view: &View) -> Result<Viewed> {
        let (query, view) = (*query, view.clone());
        self.offload(move |jobs| async move { jobs.view_here(id, &query, &view).await }).await
    }

    async fn view_here(&self, id: JobId, query: &OutputQuery, view: &View) -> Result<Viewed> {
        // The status first: if it says that the job has ended, the output is complete.
        let status = self.job(id).await?.status();
        let (mut viewer, mut source) = Viewer::new(view, query);
        let mut excerpt = Excerpt::new(view, query);
        let (mut until, mut cut) = (None, false);
        let mut output = self.output_reader(id).await?;
        loop {
            let chunk = output.read(&source).await?.whole_characters(status.is_final());
            let end = *until.get_or_insert_with(|| source.until.map_or(chunk.end, |until| until.min(chunk.end)));
            cut |= chunk.cut;
            source = source.after(&chunk).with_until(Some(end));
            let more = chunk.more;
            viewer.feed(chunk);
            while !excerpt.is_full()
                && let Some(shown) = viewer.next_shown()
            {
                excerpt.push(shown, viewer.untold());
            }
            if !more || excerpt.is_full() || viewer.is_full() {
                break;
            }
            if query.max_lines.is_none() && view.is_line_by_line() {
                source = skip(&mut output, source, &mut excerpt, &mut viewer, end).await?;
            }
            // There may be gigabytes to read: other tasks get a turn, and the caller may cancel.
            tokio::task::yield_now().await;
        }
        let (untold, is_stopped) = (viewer.untold(), excerpt.is_full() || viewer.is_full());
        if is_stopped {
            viewer.stop();
        } else if status.is_final() {
            viewer.finish();
        } else {
            viewer.pause();
        }
        while let Some(shown) = viewer.next_shown() {
            excerpt.push(shown, untold);
        }
        let cursor = viewer.cursor();
        let more = is_stopped && cursor < until.unwrap_or_default();
        let (shown, left_out) = excerpt.finish(cursor.0, |from, to| output.dropped(Cursor(from), Cursor(to)));
        Ok(Viewed { status, shown, cursor, left_out, more, cut: cut || viewer.is_cut() })
    }

    /// Reads a part of a view of a job's output as text.
    ///
    /// # Errors
    /// As [`JobManager::view`].
    pub async fn view_text(&self, id: JobId, query: &OutputQuery, view: &View) -> Result<OutputShape> {
        let viewed = self.view(id, query, view).await?;
        let text = |stream| match viewed.has_lines_of(stream) {
            true => String::from_utf8_lossy(&viewed.text(view, Some(stream))).into_owned(),
            // No note about left-out lines either: the other stream may be all there is.
            false => String::new(),
        };
        Ok(OutputShape {
            job_id: id,
            status: viewed.status,
            stdout: text(Stream::Stdout),
            stderr: text(Stream::Stderr),
            cursor: viewed.cursor,
            dropped_bytes: viewed.dropped(),
            left_out: viewed.left_out,
            more: viewed.more,
        })
    }
}

/// Skips what will not be shown: continues near the end if only that is still wanted and has not been reached yet.
async fn skip(
    output: &mut OutputReader,
    source: OutputQuery,
    excerpt: &mut Excerpt,
    viewer: &mut Viewer,
    end: Cursor,
) -> Result<OutputQuery> {
    let Some(bytes) = excerpt.wants_only().filter(|bytes| end.0.saturating_sub(viewer.cursor().0) > *bytes) else {
        return Ok(source);
    };
    let last = OutputQuery { from: Position::TailBytes(bytes), ..source };
    // For a single stream, the last bytes may begin earlier.
    let first = output.read(&last.with_max_bytes(1)).await?;
    let Some(begins) = first.begins().filter(|begins| *begins > viewer.cursor()) else { return Ok(source) };
    viewer.jump();
    excerpt.jump();
    Ok(OutputQuery { from: Position::Cursor(begins), ..source })
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::test_runner::TestRunner;

    use super::*;
    use crate::clock::{SystemRandom, Timestamp};
    use crate::generate::cases;
    use crate::output::{Grep, Shown};
    use crate::record::{Ended, Submission};
    use crate::store::{JobClaim, JobStore};
    use crate::{Cause, InProcessRunner, JobSpec, MemoryStore, Outcome};

    const OUT: Stream = Stream::Stdout;
    const ERR: Stream = Stream::Stderr;

    pub(in crate::manager) fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    /// A job that has written these parts, one each second, and has ended.
    async fn wrote(parts: &[(Stream, &[u8])]) -> (JobManager, JobId) {
        let (jobs, id, mut claim) = writes(parts).await;
        let outcome = Outcome::new(Cause::Exited, Timestamp::UNIX_EPOCH);
        claim.finish(&Ended::new(None, outcome)).await.unwrap();
        (jobs, id)
    }

    /// A job that has written these parts and has not ended.
    pub(in crate::manager) async fn writes(parts: &[(Stream, &[u8])]) -> (JobManager, JobId, Box<dyn JobClaim>) {
        let store = Arc::new(MemoryStore::new());
        let jobs = JobManager::new(store.clone(), Arc::new(InProcessRunner::new())).unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let id = JobId::mint(now, &SystemRandom).unwrap();
        let spec = JobSpec::command(["true"]).output_limit(0).build().unwrap();
        let world = crate::sys::world::capture().unwrap();
        store.create(Submission::new(id, now, spec, "/bin/true".into(), world)).await.unwrap();
        let mut claim = store.next_due().await.unwrap().unwrap();
        for (second, (stream, bytes)) in (0..).zip(parts) {
            claim.append(*stream, Timestamp::from_second(second).unwrap(), bytes).await;
        }
        (jobs, id, claim)
    }

    fn text(viewed: &Viewed, view: &View, only: Option<Stream>) -> String {
        String::from_utf8(viewed.text(view, only)).unwrap()
    }

    fn grep(pattern: &str, before: u64, after: u64) -> View {
        View::default().with_grep(Some(Grep::new(pattern.parse().unwrap()).with_context(before, after)))
    }

    /// What a view of these lines of standard output shows, with `/` for line breaks.
    fn shown(output: &str, query: OutputQuery, view: &View) -> String {
        block_on(async {
            let (jobs, id) = wrote(&[(OUT, output.as_bytes())]).await;
            text(&jobs.view(id, &query, view).await.unwrap(), view, None).replace('\n', "/")
        })
    }

    fn all() -> OutputQuery {
        OutputQuery::from(Position::Start)
    }

    #[test]
    fn matching_lines_have_context_and_groups_as_in_grep() {
        let lines = "a\nb\nX1\nc\nX2\nd\ne\nf\ng\nX3";
        let cases: &[(u64, u64, &str)] = &[
            (0, 0, "X1/X2/X3"),
            (1, 0, "b/X1/c/X2/--/g/X3"),
            (0, 1, "X1/c/X2/d/--/X3"),
            (2, 1, "a/b/X1/c/X2/d/--/f/g/X3"),
            (2, 2, "a/b/X1/c/X2/d/e/f/g/X3"),
            (9, 9, "a/b/X1/c/X2/d/e/f/g/X3"),
        ];
        for (before, after, expected) in cases {
            assert_eq!(shown(lines, all(), &grep("^X", *before, *after)), *expected, "{before} {after}");
        }
        assert_eq!(shown(lines, all(), &grep("nothing", 2, 2)), "");
        assert_eq!(shown("\x1b[31mred\x1b[m\n", all(), &grep("^red$", 0, 0)), "");
        assert_eq!(shown("\x1b[31mred\x1b[m\n", all(), &grep("^red$", 0, 0).with_clean(true)), "red/");
    }

    #[test]
    fn repeated_lines_are_counted() {
        let fold = View::default().with_fold(true);
        assert_eq!(shown("a\nb\nb\nb\na\na\n", all(), &fold), "a/b/[repeated 2 more times]/a/[repeated once more]/");
        assert_eq!(shown("b\nb\nb", all(), &fold), "b/[repeated once more]/b", "the last line may continue");
        let folded = grep("[ab]", 0, 0).with_fold(true);
        assert_eq!(shown("a\nx\na\nb\n", all(), &folded), "a/[repeated once more]/b/");
        let stamped = fold.with_timestamps(true);
        let expected = "1970-01-01T00:00:00.000Z a/1970-01-01T00:00:00.000Z [repeated once more]/";
        assert_eq!(shown("a\na\n", all(), &stamped), expected);
    }

    #[test]
    fn line_limits_count_the_lines_of_the_view() {
        let output = "1\nx\n2\nx\n3\n4\n4\n4\n";
        let tail = |count| OutputQuery::from(Position::TailLines(count));
        let head = |count| all().with_max_lines(Some(count));
        let digits = grep(r"\d", 0, 0);
        assert_eq!(shown(output, tail(4), &digits), "3/4/4/4/");
        assert_eq!(shown(output, tail(99), &digits), "1/2/3/4/4/4/");
        assert_eq!(shown(output, tail(0), &digits), "");
        assert_eq!(shown(output, head(2), &digits), "1/2/");
        assert_eq!(shown(output, head(0), &digits), "");
        let folded = digits.with_fold(true);
        assert_eq!(shown(output, tail(2), &folded), "3/4/[repeated 2 more times]/");
        assert_eq!(shown(output, head(4), &folded), "1/2/3/4/");
        let clean = View::default().with_clean(true);
        assert_eq!(shown("a\n0%\r1%\r2%\nb", tail(2), &clean), "2%/b");
        assert_eq!(shown("a\n0%\r1%\r2%\nb", head(2), &clean), "a/2%/");
    }

    #[test]
    fn only_output_since_a_time_is_shown() {
        block_on(async {
            let (jobs, id) = wrote(&[(OUT, b"zero\n"), (ERR, b"one\n"), (OUT, b"two\n"), (ERR, b"three\n")]).await;
            let view = View::default().with_timestamps(true);
            let since = |second| all().with_since(Some(Timestamp::from_second(second).unwrap()));
            let read = async |query| text(&jobs.view(id, &query, &view).await.unwrap(), &view, None);
            assert_eq!(read(since(2)).await, "1970-01-01T00:00:02.000Z two\n1970-01-01T00:00:03.000Z three\n");
            assert_eq!(read(since(2).with_stream(Some(ERR))).await, "1970-01-01T00:00:03.000Z three\n");
            assert_eq!(read(since(4)).await, "");
            let tail = OutputQuery::from(Position::TailLines(3)).with_since(Some(Timestamp::from_second(3).unwrap()));
            assert_eq!(read(tail).await, "1970-01-01T00:00:03.000Z three\n");
        });
    }

    /// Two streams, lines of all lengths, characters of all widths, and streams that change within lines.
    fn mixed() -> impl Strategy<Value = Vec<(Stream, String)>> {
        let letter =
            prop_oneof![1 => Just('\n'), 1 => Just('日'), 1 => Just('é'), 17 => proptest::char::range('a', 'r')];
        let text = vec(letter, 0..80).prop_map(String::from_iter);
        vec((prop_oneof![2 => Just(OUT), 1 => Just(ERR)], text), 0..400)
    }

    /// However small the answers are.
    #[test]
    fn a_chain_of_small_answers_gives_everything_once() {
        let mut runner = TestRunner::new(ProptestConfig { source_file: Some(file!()), ..cases(3) });
        runner
            .run(&mixed(), |parts| {
                chain_gives_everything_once(&parts);
                Ok(())
            })
            .unwrap();
    }

    fn chain_gives_everything_once(parts: &[(Stream, String)]) {
        let parts: Vec<_> = parts.iter().map(|(stream, text)| (*stream, text.as_bytes())).collect();
        let parts = [&parts[..], &[(OUT, b"end")]].concat();
        block_on(async {
            let (jobs, id) = wrote(&parts).await;
            for (view, size) in [
                (View::default().with_clean(true), 200),
                (View::default().with_clean(true), 5000),
                (View::default(), 300),
                (grep("", 1, 1), 20_000),
            ] {
                let (mut texts, mut cursor) = ([String::new(), String::new()], Cursor(0));
                loop {
                    let query = OutputQuery::from(Position::Cursor(cursor)).with_max_bytes(size);
                    let viewed = jobs.view(id, &query, &view).await.unwrap();
                    assert!(viewed.text(&view, None).len() as u64 <= size + 8, "{size}");
                    for (whole, stream) in texts.iter_mut().zip([OUT, ERR]) {
                        whole.push_str(text(&viewed, &view, Some(stream)).trim_start_matches('…'));
                    }
                    assert!(viewed.cursor > cursor);
                    cursor = viewed.cursor;
                    if !viewed.more {
                        break;
                    }
                }
                for (whole, stream) in texts.iter().zip([OUT, ERR]) {
                    let expected: Vec<u8> =
                        parts.iter().filter(|(of, _)| *of == stream).flat_map(|(_, bytes)| bytes.to_vec()).collect();
                    // A line torn between the streams is marked as such.
                    let found = whole.replace("…\n", "").replace('…', "");
                    assert!(found.as_bytes() == expected, "{size} {stream:?}: not what was written");
                }
            }
        });
    }

    #[test]
    fn a_budget_keeps_the_beginning_and_the_end_and_reports_exactly_what_is_between() {
        let lines: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
        let long = "0123456789日".repeat(40_000);
        for (output, budget) in
            [(&lines, 1024), (&lines, 5000), (&lines, 100_000), (&long, 1024), (&long, 20_000), (&long, 200_000)]
        {
            block_on(async {
                let (jobs, id) = wrote(&[(OUT, output.as_bytes())]).await;
                let view = View::default().with_budget(Some(budget));
                let viewed = jobs.view(id, &all(), &view).await.unwrap();
                let shown = text(&viewed, &view, None);
                assert!(shown.len() as u64 <= budget, "{} of {budget}", shown.len());
                assert!(shown.len() as u64 * 2 > budget, "{} of {budget}", shown.len());
                let left = viewed.left_out.unwrap();
                let note = shown.lines().find(|line| line.ends_with(&format!("cursor {}]", left.cursor))).unwrap();
                assert!(note.starts_with(&format!("[{} bytes", left.bytes)), "{note}");
                let (head, tail) = shown.split_once(note).unwrap();
                let tail = &tail[1..];
                let until = Cursor(left.cursor.0 + left.bytes);
                let query = OutputQuery::from(Position::Cursor(left.cursor)).with_until(Some(until));
                let between = jobs.output(id, &query.with_max_bytes(u64::MAX)).await.unwrap().bytes(None);
                let whole = head.trim_end_matches("…\n").to_owned()
                    + std::str::from_utf8(&between).unwrap()
                    + tail.trim_start_matches('…');
                assert!(whole == *output, "{budget}: not what was written");
                assert_eq!((viewed.cursor.0, viewed.more), (output.len() as u64, false));
            });
        }
    }

    #[test]
    fn a_budget_that_is_enough_leaves_nothing_out() {
        let lines: String = (0..100).map(|i| format!("line {i}\n")).collect();
        for budget in [4096, 1100, 1024 + 1000] {
            let view = View::default().with_budget(Some(budget));
            assert_eq!(shown(&lines, all(), &view), lines.replace('\n', "/"), "{budget}");
        }
    }

    #[test]
    fn matching_lines_that_are_left_out_are_counted() {
        let lines: String = (0..20_000).map(|i| format!("line {i}\n")).collect();
        block_on(async {
            let (jobs, id) = wrote(&[(OUT, lines.as_bytes())]).await;
            let view = grep("7$", 0, 0).with_budget(Some(1024));
            let viewed = jobs.view(id, &all(), &view).await.unwrap();
            let left = viewed.left_out.unwrap();
            let is_line = |shown: &&Shown| matches!(shown, Shown::Line(_));
            let shown = viewed.shown.iter().filter(is_line).count() as u64;
            assert_eq!(shown + left.lines.unwrap(), 2000);
            let matching: usize = lines.lines().filter(|line| line.ends_with('7')).map(|line| line.len() + 1).sum();
            let printed: usize =
                text(&viewed, &view, None).lines().filter(|l| !l.starts_with('[')).map(|l| l.len() + 1).sum();
            assert_eq!(left.bytes, (matching - printed) as u64);
            // What is left out begins there.
            let rest = OutputQuery::from(Position::Cursor(left.cursor)).with_max_lines(Some(left.lines.unwrap()));
            let rest = jobs.view(id, &rest.with_max_bytes(u64::MAX), &grep("7$", 0, 0)).await.unwrap();
            assert_eq!(rest.text(&view, None).len() as u64, left.bytes);
        });
    }

    #[test]
    fn a_long_line_matches_as_a_whole_and_is_cut_if_there_is_little_room() {
        let line = format!("begin {} end\n", "日x".repeat(200));
        let output = format!("short\n{line}").repeat(10);
        let shown = shown(&output, all(), &grep("^begin.*end$", 0, 0).with_budget(Some(1024)));
        let cut = format!("begin {}…/", "日x".repeat(29) + "日");
        assert!(shown.starts_with(&cut) && shown.ends_with(&cut), "{shown}");
        assert!(shown.len() <= 1024, "{}", shown.len());
        let left = 10 - shown.matches("begin").count();
        assert!(shown.contains(&format!("[{} bytes", left * line.len())), "{shown}");
        assert!(shown.contains(&format!(" in {left} lines left out;")), "{shown}");
    }

    #[test]
    fn a_line_that_does_not_match_yet_is_looked_at_again() {
        block_on(async {
            let (jobs, id, mut claim) = writes(&[(OUT, b"x\nerr"), (ERR, b"y\n")]).await;
            let view = grep("error|prompt", 0, 0);
            let first = jobs.view(id, &all(), &view).await.unwrap();
            assert_eq!((first.shown.len(), first.cursor, first.more), (0, Cursor(2), false));
            claim.append(OUT, Timestamp::UNIX_EPOCH, b"or: z\nprompt: ").await;
            let query = OutputQuery::from(Position::Cursor(first.cursor));
            let second = jobs.view(id, &query, &view).await.unwrap();
            assert_eq!(text(&second, &view, None), "error: z\nprompt: ");
            let third = OutputQuery::from(Position::Cursor(second.cursor));
            assert_eq!(jobs.view(id, &third, &view).await.unwrap().shown, []);
            assert_eq!(second.cursor, Cursor(21));
        });
    }

    #[test]
    fn a_view_that_stops_before_a_match_with_context_continues_before_it() {
        let view = grep("X", 2, 0);
        block_on(async {
            let (jobs, id) = wrote(&[(OUT, b"a\nb\nX\nc\n")]).await;
            let first = jobs.view(id, &all().with_max_lines(Some(1)), &view).await.unwrap();
            assert_eq!((text(&first, &view, None).as_str(), first.cursor, first.more), ("a\n", Cursor(2), true));
            let rest = jobs.view(id, &OutputQuery::from(Position::Cursor(first.cursor)), &view).await.unwrap();
            assert_eq!(text(&rest, &view, None), "b\nX\n");
        });
    }
}
