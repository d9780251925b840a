//! Which jobs a command applies to: the same filters for all commands, sort orders, templates, and the output of
//! several jobs at once.

use serde_json::Value;

use crate::background::{Background, touch, until};
use crate::support::{Ran, TestEnv, wait_for};

/// The names of the listed jobs, in the order of the list.
fn names(env: &TestEnv, options: &[&str]) -> String {
    env.ok([&["list", "--format", "{name}"], options].concat()).replace('\n', " ")
}

/// Jobs that have ended in alphabetical order.
fn ended(env: &TestEnv) -> [String; 3] {
    [("ant", "exit 0"), ("bee", "printf 12345; exit 3"), ("cow", "exit 4 # Moo")].map(|(name, line)| {
        let directory = env.dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        let run = ["run", "--name", name, "--label", "animal", "--cwd", directory.to_str().unwrap(), line];
        let id = env.ok(run);
        env.run(["wait", &id]);
        id
    })
}

#[test]
fn jobs_are_selected_by_all_their_properties() {
    let env = TestEnv::new();
    let ids = ended(&env);
    let bee = env.job(&ids[1]);
    let time = |key: &str| bee[key].as_str().unwrap().to_owned();
    let (submitted, started, end) = (time("submitted_at"), time("started_at"), time("ended_at"));
    let directory = env.dir().join("bee");
    let caller = Ran::of({
        let mut command = env.jobcli(["run", "--name", "dog", "--wait", "exit 0"]);
        command.env("CLAUDECODE", "1").env("CLAUDE_CODE_SESSION_ID", "5e55");
        command
    });
    assert_eq!(caller.code, Some(0), "{caller}");
    for (options, expected) in [
        (&["--name", "?o*"][..], "dog cow"),
        (&["--name", "bee"], "bee"),
        (&["--text", "moo"], "cow"),
        (&["--text", "EXIT 3"], "bee"),
        (&["--exit-code", "3,4"], "cow bee"),
        (&["--exit-code", "0", "--label", "animal"], "ant"),
        (&["--cwd", "bee"], "bee"),
        (&["--cwd", directory.to_str().unwrap()], "bee"),
        (&["--since", &submitted], "dog cow bee"),
        (&["--submitted-before", &submitted], "ant"),
        (&["--started-since", &started, "--status", "failed"], "cow bee"),
        (&["--status", "failed,completed"], "dog cow bee ant"),
        (&["--started-before", &started], "ant"),
        (&["--ended-since", &end], "dog cow bee"),
        (&["--ended-before", &end], "ant"),
        (&["--ended-since", "yesterday", "--ended-before", "tomorrow", "--limit", "1"], "dog"),
        (&["--caller", "claude-code:5e55"], "dog"),
        (&["--text", "nothing"], ""),
    ] {
        assert_eq!(names(&env, options), expected, "{options:?}");
    }
    let counted: Value = serde_json::from_str(&env.ok(["list", "--count", "--json", "--label", "animal"])).unwrap();
    assert_eq!(counted, serde_json::json!({ "completed": 1, "failed": 2 }));
    let (short, name) = (&ids[2][24..], env.ok(["rm", "--exit-code", "4"]));
    assert_eq!(name, format!("cow ({}): removed", &short[..8]));
    let none = env.run(["rm", "--name", "cow"]);
    assert!(none.code == Some(3) && none.stderr.contains("no job has the name `cow`"), "{none}");
    assert_eq!(env.ok(["rm", "--all"]).lines().count(), 3);
    assert_eq!(names(&env, &["--all"]), "");
}

#[test]
fn lists_are_sorted_and_cut_in_that_order() {
    let env = TestEnv::new();
    ended(&env);
    for (options, expected) in [
        (&["--sort", "name"][..], "ant bee cow"),
        (&["--sort", "name", "--reverse", "-n", "2"], "cow bee"),
        (&["--reverse"], "ant bee cow"),
        (&["--sort", "ended"], "cow bee ant"),
        (&["--sort", "ended", "--reverse", "-n", "1"], "ant"),
        (&["--sort", "output", "-n", "1"], "bee"),
    ] {
        assert_eq!(names(&env, options), expected, "{options:?}");
    }
    let wrong = env.run(["list", "--sort", "size"]);
    assert!(wrong.code == Some(2) && wrong.stderr.contains("use one of submitted, started, ended"), "{wrong}");
}

#[test]
fn a_template_selects_what_is_printed_of_each_job() {
    let env = TestEnv::new();
    let [_, bee, _] = ended(&env);
    let one = |template: &str| env.ok(["list", "--name", "bee", "--format", template]);
    assert_eq!(one(r"{short_id}\t{status}={exit_code}"), format!("{}\tfailed=3", &bee[24..32]));
    assert_eq!(one("{labels} {labels.animal}{group} {{{output_bytes}}}"), r#"{"animal":""}  {5}"#);
    env.ok(["run", "--wait", "--name", "argv", "--", "printf", "a\x1b[2J b"]);
    let command = env.ok(["list", "--name", "argv", "--format", "{command}"]);
    assert_eq!(command, "printf 'a\\u{1b}[2J b'");
    let wrong = env.run(["list", "--format", "{colour}"]);
    assert!(
        wrong.code == Some(2) && wrong.stderr.contains("no `colour`; its keys are `job_id`, `short_id`"),
        "{wrong}"
    );
}

#[test]
fn all_or_selected_jobs_are_waited_for() {
    let env = TestEnv::new();
    let gate = until("go");
    env.ok(["run", "--name", "a", "--group", "g", &gate]);
    env.ok(["run", "--name", "b", &format!("{gate}; exit 3")]);
    let mut all = Background::spawn(env.jobcli(["wait", "--all", "--quiet"]));
    all.until_it_waits();
    let mut selected = Background::spawn(env.jobcli(["wait", "--name", "b*", "--status", "running"]));
    selected.until_it_waits();
    touch(&env, "go");
    assert_eq!((all.end().code(), selected.end().code()), (Some(3), Some(3)));
    let over = env.run(["wait", "--all"]);
    assert!(over.code == Some(0) && over.stderr.contains("all jobs have ended"), "{over}");
    let over = env.run(["wait", "--text", "go"]);
    assert!(over.code == Some(0) && over.stderr.contains("with `go` in its command have ended"), "{over}");
    for verb in ["wait", "kill", "rm", "output", "tail"] {
        for wrong in [&[verb][..], &[verb, "a", "--name", "b"], &[verb, "--text", "x", "--name"]] {
            let ran = env.run(wrong);
            assert!(ran.code == Some(2) && ran.stdout.is_empty(), "{wrong:?}: {ran}");
        }
    }
}

#[test]
fn lines_of_several_jobs_have_their_names() {
    let env = TestEnv::new();
    let [a, b] = [("a", "echo one; echo two; printf three"), ("long", "echo 1; echo 2 >&2")]
        .map(|(name, line)| env.ok(["run", "--wait", "--name", name, "--group", "g", line]));
    let nameless = env.ok(["run", "--wait", "echo x"]);
    let both = "a    | one\na    | two\na    | three\nlong | 1\nlong | 2";
    assert_eq!(env.ok(["output", "a", "long"]), both);
    assert_eq!(env.ok(["output", "--group", "g"]), both, "the newest last");
    assert_eq!(env.ok(["output", "--follow", &a, &b]).lines().count(), 5);
    assert_eq!(env.ok(["tail", "-n", "1", "--group", "g"]), "a    | three\nlong | 2");
    assert_eq!(env.ok(["output", "--all", "--grep", "[ox]", "--head", "1"]), {
        let short = &nameless[24..32];
        format!("a        | one\n{short} | x")
    });
    let json = env.ok(["output", "--json", "a", "long"]);
    let outputs: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&outputs[0]["stdout"], &outputs[1]["stderr"]), (&"one\ntwo\nthree".into(), &"2\n".into()));
    // Two jobs of the same name are told apart by their ids.
    let again = env.ok(["run", "--wait", "--name", "a", "echo again"]);
    let lines = env.ok(["output", "--name", "a"]);
    assert_eq!(lines.lines().last(), Some(&*format!("a {} | again", &again[24..32])));
    let missing = env.run(["output", "long", "nosuch"]);
    assert!(missing.code == Some(3) && missing.stdout.contains("long | 2\n"), "{missing}");
    for one_only in [["--cursor", "1"], ["--bytes", "1..2"]] {
        assert_eq!(env.run(["output", "a", "long"].iter().chain(&one_only)).code, Some(2));
    }
}

/// Lines appear as they are written, whole, until all of the jobs have ended.
#[test]
fn several_jobs_are_followed_at_once() {
    let env = TestEnv::new();
    env.ok(["run", "--name", "a", &format!("printf 'half '; {}; echo 'a line'; {}; echo end", until("1"), until("3"))]);
    env.ok(["run", "--name", "b", &format!("{}; echo other; {}", until("2"), until("3"))]);
    env.ok(["run", "--wait", "--name", "over", "echo over"]);
    let mut follower = Background::spawn(env.jobcli(["tail", "--follow", "--all"]));
    wait_for("the first half", || (env.job("a")["output_bytes"] == 5).then_some(()));
    touch(&env, "2");
    assert_eq!(follower.line().as_deref(), Some("b | other"));
    touch(&env, "1");
    assert_eq!(follower.line().as_deref(), Some("a | half a line"));
    touch(&env, "3");
    assert_eq!(follower.line().as_deref(), Some("a | end"));
    assert_eq!((follower.line(), follower.end().code()), (None, Some(0)));
    let ran = env.run(["tail", "--follow", "--name", "a"]);
    assert!(ran.code == Some(0) && ran.stderr.contains("have ended"), "{ran}");
}

/// A line that is longer than what is read at once is not mixed with others either.
#[test]
fn many_writers_tear_no_line() {
    let env = TestEnv::new();
    let ids: Vec<_> = (0..6)
        .map(|number| {
            let line = format!("for i in $(seq 200); do printf '%0300d' $i; echo ' of {number}'; done");
            env.ok(["run", "--name", &format!("job-{number}"), &line])
        })
        .collect();
    let printed = env.ok([&["output", "--follow"][..], &ids.iter().map(String::as_str).collect::<Vec<_>>()].concat());
    for number in 0..6 {
        let prefix = format!("job-{number} | ");
        let lines: Vec<_> = printed.lines().filter_map(|line| line.strip_prefix(&prefix)).collect();
        let expected: Vec<_> = (1..=200).map(|i| format!("{i:0300} of {number}")).collect();
        assert_eq!(lines, expected);
    }
    assert_eq!(printed.lines().count(), 1200);
}

/// Days and hours are those of the time zone.
#[test]
fn times_are_local() {
    let env = TestEnv::new();
    env.ok(["run", "--wait", "--name", "one", "true"]);
    let listed = |zone: &str, options: &[&str]| {
        let mut command = env.jobcli([&["list", "--format", "{name}"], options].concat());
        command.env("TZ", zone);
        Ran::of(command).ok()
    };
    assert_eq!(listed("UTC", &["--since", "yesterday"]), "one");
    assert_eq!(listed("UTC", &["--until", "yesterday"]), "");
    // A day that has only just begun in UTC began long ago twelve hours to the east.
    for zone in ["Etc/GMT-12", "Etc/GMT+12"] {
        assert_eq!(listed(zone, &["--since", "yesterday"]), "one");
        assert_eq!(listed(zone, &["--since", "tomorrow"]), "");
    }
    let noon = |zone: &str| {
        let mut command =
            env.jobcli(["list", "--quiet", "--since", "2000-01-01 12:00", "--until", "2000-01-01T12:00:00Z"]);
        command.env("TZ", zone);
        Ran::of(command).code
    };
    assert_eq!(noon("Europe/Berlin"), Some(0));
    let events = env.ok(["events", "--since", "yesterday", "--json"]);
    assert_eq!(events.lines().count(), 3);
    assert_eq!(env.ok(["events", "--since", "tomorrow"]), "");
    env.wait_until_empty();
    assert_eq!(env.ok(["prune", "--older-than", "yesterday"]), "");
    assert_eq!(env.ok(["prune", "--older-than", "now"]).lines().count(), 1);
}

#[test]
fn statistics_sum_up_what_jobs_did() {
    let env = TestEnv::new();
    assert_eq!(env.ok(["stats"]), "0 jobs");
    for _ in 0..6 {
        env.ok(["run", "--wait", "--name", "bee", "printf 12345"]);
    }
    assert_eq!(env.run(["run", "--wait", "--name", "ant\u{202e}", "exit 3"]).code, Some(2), "no such name");
    env.run(["run", "--wait", "--label", "odd", "printf '\u{1b}[31m'; exit 3 # \u{1b}[2J"]);
    let text = env.ok(["stats"]);
    assert!(text.starts_with("7 jobs: 6 completed, 1 failed\ntime "), "{text}");
    assert!(text.lines().any(|line| line.starts_with("bee ") && line.contains("  6 ")), "{text}");
    assert!(!text.contains('\u{1b}'), "a command cannot control the terminal: {text}");
    let json: Value = serde_json::from_str(&env.ok(["stats", "--json", "--status", "completed"])).unwrap();
    assert_eq!(
        (&json["jobs"], &json["output_bytes"], &json["statuses"]["completed"]),
        (&6.into(), &30.into(), &6.into())
    );
    assert_eq!(json["names"][0]["last_ms"].as_array().unwrap().len(), 6, "{json}");
    assert!(env.ok(["stats", "--label", "odd"]).starts_with("1 job: 1 failed\n"));
    assert_eq!(env.ok(["stats", "--since", "tomorrow"]), "0 jobs");
    // Of the six runs, five are earlier than the last.
    assert!(env.ok(["show", "bee"]).contains("\nusual time   "), "{}", env.ok(["show", "bee"]));
    assert!(env.ok(["show", "bee"]).contains("the median of 5 earlier runs"));
}
