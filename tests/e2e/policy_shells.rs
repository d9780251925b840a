//! Lines that a policy permits are run in the real shells, where a program that it does not permit leaves a mark: the
//! lines of the corpus, and thousands that are generated from it.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jobcore::JobSpec;
use jobcore::policy::{Policy, parse_list};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::support::script;

const CORPUS: &str = include_str!("../../jobcore/src/policy/corpus.txt");
/// The time limit of a line: some wait for ever, for example in `while true`.
const LIMIT: Duration = Duration::from_secs(2);
/// How long generated lines are run, unless `POLICY_LINES` asks for a number of lines.
const BUDGET: Duration = Duration::from_secs(60);
/// The number that are run in any case.
const LEAST: usize = 200;
/// On some systems, `sh` is bash.
const BASH_AS_SH: &str = "bash as sh";
/// The programs that a line may find; there are no others.
const PROGRAMS: [&str; 24] = [
    "bash", "cat", "dash", "date", "env", "find", "grep", "head", "ls", "mkdir", "nice", "nohup", "printf", "seq",
    "setsid", "sh", "sort", "stdbuf", "tail", "timeout", "true", "wc", "xargs", "ionice",
];
/// Programs that do nothing here.
const HARMLESS: [&str; 8] = ["npm", "git", "node", "cargo", "make", "sleep", "cp", "run.sh"];

/// An attempt of the corpus: its line, the policies that permit it, and its shells.
struct Attempt {
    line: String,
    policies: Vec<String>,
    shells: Vec<String>,
}

/// Returns the policies and the attempts of the corpus.
fn corpus() -> (BTreeMap<String, Policy>, Vec<Attempt>) {
    let mut policies = BTreeMap::new();
    let mut attempts = Vec::new();
    let (mut used, mut shells): (Vec<String>, Vec<String>) = Default::default();
    for text in CORPUS.lines() {
        let words = |text: &str| text.split(' ').map(str::to_owned).collect();
        if let Some(definition) = text.strip_prefix("@policy ") {
            let (name, rest) = definition.split_once(' ').unwrap();
            let (kind, patterns) = rest.split_once(' ').unwrap();
            let patterns = parse_list(patterns).unwrap();
            let policy = if kind == "allow" { Policy::new(patterns, vec![]) } else { Policy::new(vec![], patterns) };
            policies.insert(name.to_owned(), policy);
        } else if let Some(text) = text.strip_prefix("@use ") {
            let (names, of) = text.split_once(" in ").unwrap();
            (used, shells) = (words(names), words(of));
        } else if text.starts_with("- ") || text.starts_with("+ ") {
            let line = text[2..].replace('⏎', "\n").replace('⇥', "\t");
            attempts.push(Attempt { line, policies: used.clone(), shells: shells.clone() });
        }
    }
    (policies, attempts)
}

fn is_permitted(policy: &Policy, shell: &str, line: &str) -> bool {
    let spec = JobSpec::shell(line).with_shell(format!("/bin/{shell}")).build();
    spec.is_ok_and(|spec| policy.check(&spec).is_ok())
}

/// A place in which lines are run, with programs that leave a mark.
struct Range {
    directory: tempfile::TempDir,
    bin: PathBuf,
}

impl Range {
    fn new() -> Self {
        let directory = tempfile::Builder::new().prefix("jobcore-policy-").tempdir().unwrap();
        let bin = directory.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let find = |name: &str| {
            ["/usr/bin", "/bin"].iter().map(|place| Path::new(place).join(name)).find(|path| path.exists())
        };
        for name in PROGRAMS {
            if let Some(program) = find(name) {
                std::os::unix::fs::symlink(program, bin.join(name)).unwrap();
            }
        }
        for name in HARMLESS {
            std::os::unix::fs::symlink(find("true").unwrap(), bin.join(name)).unwrap();
        }
        script(&bin.join("touch"), "#!/bin/sh\n: > \"$0.hit\"\n");
        Self { directory, bin }
    }

    /// Runs a line, and returns whether it started `touch`.
    fn is_hit(&self, shell: &str, line: &str) -> bool {
        let work = self.directory.path().join("work");
        std::fs::create_dir(&work).unwrap();
        let touch = self.bin.join("touch").display().to_string();
        let line = line.replace("/usr/bin/touch", "/bin/touch").replace("/bin/touch", &touch);
        let mut command = match shell {
            // Under the name `sh`, bash runs in POSIX mode.
            BASH_AS_SH => Command::new("/bin/bash"),
            shell => Command::new(format!("/bin/{shell}")),
        };
        command.arg0(if shell == BASH_AS_SH { "sh" } else { shell });
        command.args(["-c", &line]).env_clear().env("PATH", &self.bin).env("HOME", &work).current_dir(&work);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + LIMIT;
        while child.try_wait().unwrap().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(300));
        }
        // A process left in the background may be about to do it.
        let group = Pid::from_raw(child.id().try_into().unwrap());
        while killpg(group, None).is_ok() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_micros(300));
            let _ = child.try_wait();
        }
        let _ = killpg(group, Signal::SIGKILL);
        let _ = child.wait();
        std::fs::remove_dir_all(&work).unwrap();
        std::fs::remove_file(self.bin.join("touch.hit")).is_ok()
    }
}

/// Runs lines in their shells, each separately, and returns those that left a mark. After `end`, only as many are run
/// as have to be.
fn hits(lines: &[(String, String)], end: Option<Instant>) -> Vec<(String, String)> {
    let next = AtomicUsize::new(0);
    let has_time = || end.is_none_or(|end| Instant::now() < end);
    let hit = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let range = Range::new();
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some((shell, line)) = lines.get(index).filter(|_| index < LEAST || has_time()) else {
                        break;
                    };
                    if range.is_hit(shell, line) {
                        hit.lock().unwrap().push((shell.clone(), line.clone()));
                    }
                }
            });
        }
    });
    hit.into_inner().unwrap()
}

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    /// Returns a number below `end`.
    fn roll(&mut self, end: usize) -> usize {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % end
    }

    fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.roll(from.len())]
    }
}

/// The pieces that lines are made of.
const PIECES: [&str; 98] = [
    "'",
    "\"",
    "\\",
    "`",
    "$",
    "$(",
    ")",
    "(",
    "${",
    "}",
    "{",
    "$((",
    "))",
    "((",
    "[[ ",
    " ]]",
    "#",
    " #",
    ";",
    "&",
    "|",
    "<",
    ">",
    "<<E\n",
    "\nE\n",
    "<<'E'\n",
    "<<-E\n",
    "\n",
    "\\\n",
    " ",
    "\t",
    "$'",
    "$\"",
    "=",
    "[",
    "]",
    "!",
    "! ",
    "touch hit",
    "; touch hit; ",
    "\ntouch hit\n",
    "`touch hit`",
    "$(touch hit)",
    "\\`",
    "\\\\",
    "\\\"",
    "\\$",
    "if ",
    "; then ",
    "; fi",
    "case x in ",
    "x) ",
    "esac",
    ";;",
    " do ",
    "; done",
    "for i in ",
    "while ",
    "time ",
    "x=",
    "x='a[$(touch hit)]'; ",
    "$x",
    "${x}",
    "\"$x\"",
    "-v ",
    "~",
    "*",
    "{a,b}",
    "eval ",
    "eval '",
    "sh -c '",
    "bash -c \"",
    "<<< ",
    "<(",
    ">(",
    "function f ",
    "f() { ",
    "; }",
    "EOF",
    " -eq ",
    "@",
    "%",
    "+",
    ":-",
    ":=",
    "&>",
    "|&",
    "&&",
    "||",
    "echo ",
    "env ",
    "xargs ",
    "find . -exec ",
    "|| touch hit",
    "{a=1,",
    "touch",
    " hit",
    "\r",
];

/// Changes a line in some places, with pieces and with parts of another.
fn mutated(line: &str, other: &str, dice: &mut Dice) -> String {
    let mut line: Vec<char> = line.chars().collect();
    for _ in 0..=dice.roll(3) {
        let at = dice.roll(line.len() + 1);
        let end = (at + 1 + dice.roll(6)).min(line.len());
        match dice.roll(5) {
            0 => drop(line.drain(at..end)),
            1 => {
                let copy: Vec<_> = line[at..end].to_vec();
                line.splice(at..at, copy);
            }
            2 => {
                let other: Vec<char> = other.chars().collect();
                let from = dice.roll(other.len());
                let to = (from + 1 + dice.roll(12)).min(other.len());
                line.splice(at..at, other[from..to].iter().copied());
            }
            _ => drop(line.splice(at..at, dice.pick(&PIECES).chars()).collect::<Vec<_>>()),
        }
    }
    line.into_iter().collect()
}

/// Nests the command that is not permitted in one construct after the other, with something harmless beside it.
fn nested(dice: &mut Dice) -> String {
    const AROUND: [&str; 44] = [
        "echo $(@)",
        "echo \"$(@)\"",
        "echo `@`",
        "echo \"`@`\"",
        "( @ )",
        "{ @; }",
        "@; echo",
        "echo; @",
        "@ | cat",
        "echo | @",
        "@ && echo",
        "false || @",
        "if @; then echo; fi",
        "if true; then @; fi",
        "for i in a; do @; done",
        "case x in x) @;; esac",
        "f() { @; }; f",
        "x=$(@)",
        "echo ${x:-$(@)}",
        "echo \"${x:-`@`}\"",
        "cat <<E\n$(@)\nE",
        "cat <<'E'\n@\nE",
        "cat <<E\n`@`\nE\n",
        "eval '@'",
        "sh -c '@'",
        "bash -c \"@\"",
        "echo '@'",
        "echo \"@\"",
        "echo # @\n",
        "echo $((1 + 1)) $(@)",
        "echo \\\n; @",
        "env @",
        "timeout 5 @",
        "echo a | xargs @",
        "! @",
        "@ > x",
        "[ -f x ] || @",
        "echo $'@'",
        "[[ -f $(@) ]]",
        "cat <(@)",
        "x=(a $(@))",
        "sh <<'E'\n@\nE",
        "echo \"a'\"; @ #'",
        "@ &\nwait",
    ];
    const INNER: [&str; 10] = [
        "touch hit",
        "t'ou'ch hit",
        "\\touch hit",
        "/usr/bin/touch hit",
        "\"touch\" hit",
        "$'touch' hit",
        "to\\\nuch hit",
        "x=1 touch hit",
        "{ touch hit; }",
        ">y touch hit",
    ];
    let mut line = dice.pick(&INNER).to_owned();
    for _ in 0..=dice.roll(4) {
        // Nested backticks need one more backslash at each level; now and then they do not get it.
        let inner = if dice.roll(3) > 0 { line.replace('\\', "\\\\").replace('`', "\\`") } else { line };
        line = dice.pick(&AROUND).replace('@', &inner);
    }
    line
}

/// Every permitted line of the corpus may be run without leaving a mark.
#[test]
fn permitted_lines_of_the_corpus_run_nothing_else() {
    let (policies, attempts) = corpus();
    let mut lines = Vec::new();
    for attempt in &attempts {
        for shell in &attempt.shells {
            if attempt.policies.iter().any(|name| is_permitted(&policies[name], shell, &attempt.line)) {
                lines.push((shell.clone(), attempt.line.clone()));
                if shell == "sh" {
                    lines.push((BASH_AS_SH.to_owned(), attempt.line.clone()));
                }
            }
        }
    }
    assert!(lines.len() > 300, "{}", lines.len());
    let hit = hits(&lines, None);
    assert!(hit.is_empty(), "{hit:#?}");
}

/// Refused lines do leave marks: without this, the other tests would prove nothing.
#[test]
fn refused_lines_of_the_corpus_would_run_it() {
    let (policies, attempts) = corpus();
    let refused = attempts.iter().filter(|attempt| !is_permitted(&policies["deny"], &attempt.shells[0], &attempt.line));
    let lines: Vec<_> = refused.map(|attempt| (attempt.shells[0].clone(), attempt.line.clone())).collect();
    // A part of them is enough.
    let lines: Vec<_> = lines.into_iter().step_by(4).take(LEAST).collect();
    let hit = hits(&lines, None);
    // The others do it only in another shell or with a program that is missing here, or are refused because they cannot
    // be judged.
    assert!(hit.len() * 2 > lines.len(), "{} of {}", hit.len(), lines.len());
}

/// Thousands of lines that are generated by changing those of the corpus and by nesting constructs.
#[test]
fn permitted_generated_lines_run_nothing_else() {
    let made: usize = std::env::var("POLICY_LINES").map_or(3_000, |count| count.parse().unwrap());
    let seed: u64 = std::env::var("POLICY_SEED").map_or(1, |seed| seed.parse().unwrap());
    let (policies, attempts) = corpus();
    let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let mut lines = Vec::new();
    for _ in 0..made {
        let line = match dice.roll(4) {
            0 => nested(&mut dice),
            1 => {
                let (line, other) = (nested(&mut dice), nested(&mut dice));
                mutated(&line, &other, &mut dice)
            }
            _ => {
                let (one, other) = (dice.roll(attempts.len()), dice.roll(attempts.len()));
                mutated(&attempts[one].line, &attempts[other].line, &mut dice)
            }
        };
        for shell in ["bash", "sh"] {
            if policies.values().any(|policy| is_permitted(policy, shell, &line)) {
                lines.push((shell.to_owned(), line.clone()));
                if shell == "sh" {
                    lines.push((BASH_AS_SH.to_owned(), line.clone()));
                }
            }
        }
    }
    // Lines that do not even come near `touch` prove nothing.
    lines.retain(|(_, line)| line.contains("uch") && line.contains("hit"));
    let mut seen = BTreeSet::new();
    lines.retain(|line| seen.insert(line.clone()));
    assert!(lines.len() * 50 > made, "{} of {made}", lines.len());
    let end = std::env::var_os("POLICY_LINES").is_none().then(|| Instant::now() + BUDGET);
    let hit = hits(&lines, end);
    assert!(hit.is_empty(), "{hit:#?}");
}
