use std::path::{Path, PathBuf};

use super::*;

fn policy(allow: &str, deny: &str) -> Policy {
    Policy::new(parse_list(allow).unwrap(), parse_list(deny).unwrap())
}

fn line(policy: &Policy, line: &str) -> Result<(), String> {
    policy.check(&JobSpec::shell(line).build().unwrap()).map_err(|error| error.to_string())
}

fn argv(policy: &Policy, words: &[&str]) -> Result<(), String> {
    policy.check(&JobSpec::command(words.iter().copied()).build().unwrap()).map_err(|error| error.to_string())
}

fn permits(policy: &Policy, lines: &[&str]) {
    for text in lines {
        assert_eq!(line(policy, text), Ok(()), "{text}");
    }
}

fn refuses(policy: &Policy, lines: &[&str]) {
    for text in lines {
        assert!(line(policy, text).is_err(), "{text}");
    }
}

/// Wherever the second command hides, it is found: under a policy that allows only the first, and under one that denies
/// the second.
const HIDDEN: [&str; 59] = [
    "npm x; rm y",
    "npm x && rm y",
    "npm x || rm y",
    "npm x | rm y",
    "npm x |& rm y",
    "npm x & rm y",
    "npm x\nrm y",
    "npm x\\\n; rm y",
    "npm $(rm y)",
    "npm \"$(rm y)\"",
    "npm a\"b $(rm y) c\"'d'",
    "npm `rm y`",
    "npm \"`rm y`\"",
    "npm $(echo $(rm y))",
    "npm <(rm y)",
    "npm x > >(rm y)",
    "npm x > $(rm y)",
    "npm x 2>> \"$(rm y)\"",
    "> $(rm y)",
    "x=$(rm y)",
    "x=$(rm y) npm x",
    "x=(a $(rm y))",
    "npm ${x:-$(rm y)}",
    "npm \"${x:-\"`rm y`\"}\"",
    "npm ${x:-${y:-$(rm y)}}",
    "npm ${x/$(rm y)/b}",
    "npm $\"a $(rm y)\"",
    "npm {a,$(rm y)}",
    "[[ -f $(rm y) ]]",
    "[[ a && (b == `rm y`) ]]",
    "npm x <<E\n$(rm y)\nE",
    "npm x <<E\n\"a\" '$(rm y)' it's\nE",
    "npm x <<E\n\\\\`rm y`\nE",
    "npm x <<E\n$(echo a # )\nrm y)\nE",
    "npm x <<E\n$( (rm y); (npm))\nE",
    "!(rm y)",
    "((npm x); (rm y))",
    "npm $( ((1)); rm y)",
    "npm $(cat <<E\n$(rm y)\nE\n)",
    "npm x <<< $(rm y)",
    "bash <<'E'\nrm y\nE",
    "(npm x; rm y)",
    "{ npm x; rm y; }",
    "! rm y",
    "time rm y",
    "coproc rm y",
    "if npm x; then rm y; fi",
    "if npm x; then npm y; elif rm y; then npm z; fi",
    "while rm y; do npm x; done",
    "until npm x; do rm y; done",
    "for i in $(rm y); do npm x; done",
    "case $(rm y) in *) npm x;; esac",
    "case x in $(rm y)) npm x;; esac",
    "case x in a) npm x;; *) rm y;; esac",
    "npm() { rm y; }; npm x",
    "function npm { npm x; } > $(rm y)",
    "select i in a; do rm y; done",
    "r'm' y",
    "\\rm y",
];

/// The same for commands that are run by other commands.
const WRAPPED: [&str; 38] = [
    "sh -c 'rm y'",
    "sh -c 'npm x; rm y'",
    "bash -lc \"rm y\"",
    "bash -o pipefail -ec 'rm y'",
    "/bin/sh -c 'sh -c \"rm y\"'",
    "eval rm y",
    "eval 'npm x;' 'rm y'",
    "eval -- 'rm y'",
    "trap 'rm y' EXIT",
    "env rm y",
    "env -i -u B a=1 rm y",
    "env --unset=A -C /tmp -- rm y",
    "xargs rm",
    "xargs -0 -n 1 -I{} rm {}",
    "xargs -0n1 rm y",
    "xargs sh -c 'rm \"$@\"'",
    "nohup rm y",
    "nice rm y",
    "nice -5 rm y",
    "nice -n 5 rm y",
    "timeout 5 rm y",
    "timeout -k 1 --signal=KILL 5 rm y",
    "exec rm y",
    "exec -a npm rm y",
    "command rm y",
    "command -p rm y",
    "builtin rm y",
    "sudo -u root rm y",
    "setsid -w rm y",
    "stdbuf -oL rm y",
    "stdbuf -o L rm y",
    "ionice -c3 rm y",
    "busybox rm y",
    "find . -name x -exec rm {} +",
    "find . -exec npm x \\; -execdir rm {} ';'",
    "find . -exec sh -c 'rm y' {} \\;",
    "nohup nice timeout 5 env a=1 sh -c 'eval \"rm y\"'",
    "npm x | xargs -n1 env rm",
];

/// These are refused under any policy, because it is not certain what they would run.
const UNJUDGED: [&str; 27] = [
    "npm 'x",
    "npm x; )",
    "if npm x",
    "$CMD x",
    "\"$CMD\" x",
    "$(npm x) y",
    "n* x",
    "~/npm x",
    "{npm,x}",
    "sh -c \"$X\"",
    "sh -c \"npm $X\"",
    "sh $X",
    "sh -c",
    "eval $X",
    "eval \"npm $X\"",
    "trap \"$X\" EXIT",
    "env --nosuch npm x",
    "env -S 'npm x'",
    "env $X npm x",
    "timeout --nosuch 5 npm x",
    "xargs env",
    "xargs sh -c",
    "xargs eval",
    "npm ${x@P}",
    "bash <<E\nnpm $X\nE",
    "npm $((npm x); (npm y))",
    "npm x <<E\n$((npm x); (npm y))\nE",
];

const EVERYTHING_THAT_WRAPS: &str = "npm, echo, cat, sh, /bin/sh, bash, eval, trap, env, xargs, nohup, nice, timeout, exec, \
     command, builtin, sudo, setsid, stdbuf, ionice, busybox, find";

#[test]
fn a_hidden_command_is_found() {
    let (allow, deny) = (policy("npm, echo, cat, bash", ""), policy("", "rm"));
    refuses(&allow, &HIDDEN);
    refuses(&deny, &HIDDEN);
    for text in HIDDEN {
        // For the right reason, and not because they are unusual.
        assert!(line(&deny, text).is_err_and(|told| told.ends_with("`rm` is denied")), "{text}");
        let harmless = text.replace("rm y", "npm y").replace("r'm'", "n'pm'").replace("\\rm", "\\npm");
        permits(&allow, &[&harmless]);
        permits(&deny, &[&harmless]);
    }
}

#[test]
fn a_command_run_by_another_is_found() {
    let (allow, deny) = (policy(EVERYTHING_THAT_WRAPS, ""), policy("", "rm"));
    refuses(&allow, &WRAPPED);
    for text in WRAPPED {
        assert!(line(&deny, text).is_err_and(|told| told.ends_with("`rm` is denied")), "{text}");
        let harmless = text.replace("rm", "npm");
        permits(&allow, &[&harmless]);
        permits(&deny, &[&harmless]);
    }
    // Both must be allowed: the wrapper and the command that it runs.
    refuses(&policy("npm", ""), &["env npm x", "sh -c 'npm x'", "timeout 5 npm x", "eval npm x", "npm x | xargs npm"]);
}

#[test]
fn unjudgeable_lines_are_refused() {
    refuses(&policy(EVERYTHING_THAT_WRAPS, ""), &UNJUDGED);
    refuses(&policy("*", ""), &UNJUDGED);
    refuses(&policy("", "nosuch"), &UNJUDGED);
    permits(&Policy::default(), &UNJUDGED);
}

#[test]
fn allowed_commands_are_permitted() {
    let allowed = policy("npm, tail, cat, cargo *, git status, ./gradlew", "npm publish");
    let passing = [
        "npm x",
        "npm",
        "npm x 2>&1 | tail -5",
        "npm x && npm y; npm z &",
        "npm x\nnpm y # rm z\n",
        "NODE_ENV=test CI=1 npm x",
        "x=1",
        "npm \"$HOME\" $X ~ *.js {a,b} ${x%.c} $((1 + 2)) $? \"$@\"",
        "npm 'rm; $(rm) `rm`' \"\\$(rm) \\`rm\\`\" \\; $'\\n;rm'",
        "cat <<'E'\n$(rm y) `rm`\nE",
        "cat <<E\n\\$(rm y) $HOME ${x:-y} it's \"quoted\" $ $((1 + (2)))\nE",
        "cat <<E\n{\"a\": \"$(npm version)\", 'b': \"`npm b`\"}\nE",
        "if [[ -n $X && $Y =~ ^a.*$ ]]; then npm x; fi",
        "for f in *.js; do npm \"$f\"; done",
        "(cargo build --release)",
        "git status --short",
        "./gradlew test",
        "'npm' x; \"n\"pm y; $'npm' z",
        "npm x > out.txt 2>/dev/null < /dev/null",
        "case $X in a|b*) npm x;; esac",
        "while (( i < 3 )); do npm $((i++)); done",
        "npm foo=bar[1] a{} x:y",
    ];
    permits(&allowed, &passing);
    refuses(
        &allowed,
        &[
            "npm publish",
            "npm 'publish'",
            "cargo",
            "git push",
            "git $X",
            "git",
            "./npm x",
            "/tmp/npm x",
            "npmx",
            "echo x",
            "x=1 rm y",
            "X=1 npm",
            "gradlew test",
            ". ./npm",
            "[ -f npm ]",
        ],
    );
}

#[test]
fn powerful_variables_are_refused_if_only_some_commands_are_allowed() {
    let lines = [
        "PATH=/tmp npm x",
        "PATH=/tmp; npm x",
        "PATH+=:/tmp npm x",
        "LD_PRELOAD=./x.so npm x",
        "BASH_ENV=x npm",
        "IFS=x",
        "export PATH=/tmp",
        "declare -x \"LD_LIBRARY_PATH=$X\"",
        "env PATH=/tmp npm x",
        "for PATH in a; do npm x; done",
        "sh -c 'PATH=/tmp npm x'",
    ];
    refuses(&policy("npm, export, declare, env, sh", ""), &lines);
    permits(&policy("", "rm"), &lines);
}

#[test]
fn deny_wins_and_finds_a_program_anywhere() {
    let denied = policy("*", "rm, git push --force*, npm run deploy*");
    refuses(
        &denied,
        &["rm", "/bin/rm x", "./rm x", "git push --force", "git push --force-with-lease origin", "npm run deploy:all"],
    );
    permits(&denied, &["rmdir x", "git push", "git push origin --force", "npm run deplo", "echo rm", "./x/y z"]);
    // A word that is known only when it runs is matched only by `*`.
    permits(&denied, &["git $X --force", "git push $X"]);
    refuses(&policy("", "git *"), &["git $X"]);
}

#[test]
fn the_words_of_an_argv_are_judged_verbatim() {
    let allowed = policy("npm, sh, env", "rm");
    assert_eq!(argv(&allowed, &["npm", "x; rm y", "$(rm y)", "`"]), Ok(()));
    assert_eq!(argv(&allowed, &["sh", "-c", "npm x"]), Ok(()));
    for words in [
        &["rm", "y"][..],
        &["/bin/rm"],
        &["npm x"],
        &["cat"],
        &["sh", "-c", "npm x; rm y"],
        &["sh", "-c", "npm $(rm y)"],
        &["env", "A=1", "rm"],
        &["env", "PATH=/tmp", "npm"],
        &["./npm"],
    ] {
        assert!(argv(&allowed, words).is_err(), "{words:?}");
    }
}

#[test]
fn a_refusal_names_the_command_and_the_reason() {
    let refusal = |text| line(&policy("npm, git status", "npm publish"), text).unwrap_err();
    assert_eq!(refusal("npm x && rm -rf /"), "`rm -rf /` is not permitted: allowed commands: npm, git status");
    assert_eq!(refusal("npm publish"), "`npm publish` is not permitted: `npm publish` is denied");
    let unparsed = refusal("npm 'x");
    assert!(unparsed.starts_with("`npm 'x` is not permitted: it cannot be judged: "), "{unparsed}");
    let long = refusal(&format!("rm {}", "é".repeat(500)));
    assert!(long.chars().count() < 250, "{long}");
}

#[test]
fn a_line_for_an_unknown_kind_of_shell_is_refused() {
    let check = |shell: &str| policy("npm", "").check(&JobSpec::shell("npm x").with_shell(shell).build().unwrap());
    for shell in [
        "/bin/bash",
        "/bin/sh",
        "/bin/bash -l",
        "/bin/bash -eu",
        "/bin/bash -euo pipefail",
        "/bin/sh -e -x",
        "/bin/bash -o pipefail -o errexit",
    ] {
        assert!(check(shell).is_ok(), "{shell}");
    }
    for shell in [
        "/usr/bin/fish",
        "/bin/zsh",
        "/bin/bash -i",
        "/bin/bash --rcfile x",
        "/bin/bash --posix",
        "/bin/bash -O extglob",
        "/bin/bash -o posix",
        "/bin/bash x",
        "/bin/bash -o",
    ] {
        assert!(check(shell).is_err(), "{shell}");
    }
}

/// A line can have at most 128 KiB.
#[test]
fn very_long_lines_are_judged() {
    let denied = policy("", "nosuch");
    for (text, is_permitted) in [
        ("a;".repeat(60_000), true),
        ("a&&".repeat(40_000) + "a", true),
        ("a|".repeat(60_000) + "a", true),
        ("a\n".repeat(60_000), true),
        ("a ".repeat(60_000), true),
        (format!("a <<E\n{}\nE", "$x ".repeat(40_000)), true),
        (format!("{}a{}", "(".repeat(60_000), ")".repeat(60_000)), true), // This is arithmetic.
        (format!("{}a{}", "(".repeat(60_000), "; b)".repeat(10_000)), false),
        (format!("a {}b{}", "$(a ".repeat(30), ")".repeat(30)), true),
        (format!("{}a{}", "( ".repeat(90), " )".repeat(90)), true),
        (format!("{}a{}", "( ".repeat(30_000), " )".repeat(30_000)), false),
        (format!("a {}b{}", "$(".repeat(40_000), ")".repeat(40_000)), false),
        (format!("[[ {}a{} ]]", "( ".repeat(30_000), " )".repeat(30_000)), false),
        (format!("a {}b", "`".repeat(100_000)), true), // An even number.
        (format!("a {}b", "`".repeat(100_001)), false),
        (format!("a {}b", "`a\\".repeat(30_000)), false),
        (format!("a <<E\n{}\nE", "${".repeat(60_000)), false),
        (format!("{}a{}", "{ ".repeat(30_000), ";}".repeat(30_000)), false),
        (format!("{} a", "eval ".repeat(20_000)), false),
    ] {
        let verdict = line(&denied, &text);
        assert_eq!(verdict.is_ok(), is_permitted, "{} {verdict:?}", &text[..20]);
    }
}

#[test]
fn a_pattern_consists_of_words() {
    assert_eq!(list_text(&parse_list::<Pattern>(" npm ,, git   status,").unwrap()), "npm, git status");
    assert!(parse_list::<Pattern>("").unwrap().is_empty());
    for wrong in ["npm; rm", "npm && rm", "$X", "'npm'", "a\nb", "a | b"] {
        assert!(parse_list::<Pattern>(wrong).is_err(), "{wrong}");
    }
    let stored: Policy = toml::from_str("allow = [\"npm run *\"]").unwrap();
    assert_eq!(stored, policy("npm run *", ""));
    assert_eq!(toml::from_str::<Policy>(&toml::to_string(&stored).unwrap()).unwrap(), stored);
    assert!(toml::from_str::<Policy>("allow = [\"a;b\"]").is_err());
}

/// The lines of `corpus.txt` under each of their policies, and in each of their shells.
#[test]
fn each_line_of_the_corpus_is_judged_correctly() {
    let mut policies = std::collections::BTreeMap::new();
    let (mut used, mut shells) = (Vec::new(), Vec::new());
    let (mut wrong, mut refused, mut permitted) = (Vec::new(), 0, 0);
    for (index, text) in include_str!("corpus.txt").lines().enumerate() {
        if let Some(definition) = text.strip_prefix("@policy ") {
            let (name, rest) = definition.split_once(' ').unwrap();
            let (kind, patterns) = rest.split_once(' ').unwrap();
            let made = if kind == "allow" { policy(patterns, "") } else { policy("", patterns) };
            policies.insert(name, made);
        } else if let Some(use_) = text.strip_prefix("@use ") {
            let (names, in_shells) = use_.split_once(" in ").unwrap();
            (used, shells) = (names.split(' ').collect(), in_shells.split(' ').collect());
        } else if let Some(is_permitted) =
            text.strip_prefix("- ").map(|_| false).or(text.strip_prefix("+ ").map(|_| true))
        {
            let attempt = text[2..].replace('⏎', "\n").replace('⇥', "\t");
            *if is_permitted { &mut permitted } else { &mut refused } += 1;
            for (name, shell) in used.iter().flat_map(|name| shells.iter().map(move |shell| (name, shell))) {
                let spec = JobSpec::shell(attempt.as_str()).with_shell(format!("/bin/{shell}")).build().unwrap();
                let verdict = policies[name].check(&spec).map_err(|error| error.to_string());
                if verdict.is_ok() != is_permitted {
                    wrong.push(format!("{}: {name} in {shell}: {attempt:?}: {verdict:?}", index + 1));
                }
            }
        } else {
            assert!(text.is_empty() || text.starts_with('#'), "line {}: {text}", index + 1);
        }
    }
    assert!(wrong.is_empty(), "{} were judged wrongly:\n{}", wrong.len(), wrong.join("\n"));
    assert!(refused >= 500 && permitted >= 120, "{refused} {permitted}");
}

/// Only the shells of the system are trusted to be what their names say.
#[test]
fn a_shell_is_known_by_its_place() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::copy("/bin/bash", at("bash")).unwrap();
    std::os::unix::fs::symlink("/bin/bash", at("sh")).unwrap();
    let check = |shell: &Path| line_in(&policy("npm", ""), shell, "npm x");
    let outside = [at("bash"), at("sh"), Path::new("/usr/bin/..").join(at("bash").strip_prefix("/").unwrap())];
    for shell in
        outside.iter().map(PathBuf::as_path).chain(["bash", "./bash", "bin/bash", "/usr/bin/true"].map(Path::new))
    {
        assert!(check(shell).is_err(), "{}", shell.display());
        assert!(line_in(&policy("", "rm"), shell, "npm x").is_err(), "{}", shell.display());
        assert!(line_in(&Policy::default(), shell, "npm x").is_ok(), "{}", shell.display());
    }
    let told = check(&at("bash")).unwrap_err();
    assert!(told.contains("is not a shell of the system"), "{told}");
    for shell in ["/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh"] {
        assert_eq!(check(Path::new(shell)), Ok(()), "{shell}");
    }
}

fn line_in(policy: &Policy, shell: &Path, line: &str) -> Result<(), String> {
    policy
        .check(&JobSpec::shell(line).with_shell(shell.to_str().unwrap()).build().unwrap())
        .map_err(|error| error.to_string())
}

#[test]
fn a_shell_has_only_options_that_do_not_change_lines() {
    for words in [&["-l"][..], &["-e", "-u"], &["-eux", "-o", "pipefail"], &["-euo", "pipefail"], &["--login"], &[]] {
        let words: Vec<_> = ["/bin/bash"].iter().chain(words).copied().collect();
        assert_eq!(shells::check(&words), Ok(Dialect::Bash), "{words:?}");
    }
    for words in [
        &["-i"][..],
        &["-c"],
        &["-s"],
        &["-lc", "rm y"],
        &["-O", "extglob"],
        &["-o", "posix"],
        &["-o", "history"],
        &["-o"],
        &["-H"],
        &["-k"],
        &["--posix"],
        &["--rcfile", "x"],
        &["x.sh"],
        &["-l", "x.sh"],
        &["--", "x.sh"],
    ] {
        let words: Vec<_> = ["/bin/bash"].iter().chain(words).copied().collect();
        assert!(shells::check(&words).is_err(), "{words:?}");
    }
}

/// Variables that are set for a job, and not inherited from its submitter, are judged like those that the line sets.
#[test]
fn variables_of_a_job_are_judged_like_those_of_its_line() {
    let allowed = policy("npm, echo", "");
    let with = |policy: &Policy, line: &str, name: &str, value: &str| {
        let argv = JobSpec::command(["npm", "x"]).env(name, value).build().unwrap();
        let line = JobSpec::shell(line).env(name, value).build().unwrap();
        [policy.check(&line).is_ok(), policy.check(&argv).is_ok()]
    };
    for name in [
        "PATH",
        "BASH_ENV",
        "ENV",
        "LD_PRELOAD",
        "HOME",
        "GIT_DIR",
        "npm_config_prefix",
        "FOO",
        "BASH_FUNC_ls%%",
        "a b",
    ] {
        assert_eq!(with(&allowed, "npm x", name, "x"), [false; 2], "{name}");
    }
    for name in ["NODE_ENV", "PORT", "CI", "LC_ALL", "x"] {
        assert_eq!(with(&allowed, "npm x", name, "x"), [true; 2], "{name}");
    }
    // If commands are denied, so are variables that a shell runs.
    let denied = policy("", "rm");
    assert_eq!(with(&denied, "npm x", "BASH_FUNC_ls%%", "() { rm y; }"), [false; 2]);
    assert_eq!(with(&denied, "npm x", "PATH", "."), [true; 2]);
    // The shell may evaluate a value.
    for policy in [&allowed, &denied] {
        assert_eq!(with(policy, "echo $((x))", "x", "a[$(rm y)]"), [false, true]);
        assert_eq!(with(policy, "echo $((x))", "x", "1"), [true; 2]);
    }
    let own = JobSpec::shell("npm x").environment([("PATH", "/x"), ("BASH_ENV", "y")].into_iter().collect());
    assert!(allowed.check(&own.build().unwrap()).is_ok());
}

#[test]
fn variables_can_be_permitted() {
    let allowing = |names: &str| policy("npm", "").with_variables(parse_list(names).unwrap());
    let permitted = allowing("APP_*, GIT_AUTHOR_NAME, X");
    permits(&permitted, &["APP_KEY=1 npm x", "X=1 npm", "GIT_AUTHOR_NAME=x npm", "x=1 CI=1 npm"]);
    refuses(&permitted, &["GIT_DIR=x npm", "APP=1 npm", "PATH=. npm", "Y=1 npm"]);
    // A powerful variable must be named in full, and one that a shell runs cannot be permitted.
    permits(&allowing("*"), &["FOO=1 npm"]);
    refuses(&allowing("*"), &["PATH=. npm", "GIT_DIR=x npm", "LD_PRELOAD=x npm", "npm_config_x=1 npm", "PS4=x npm"]);
    permits(&allowing("PATH, GIT_DIR"), &["PATH=. npm", "GIT_DIR=x npm"]);
    refuses(&allowing("PS4, BASH_CMDS"), &["PS4=x npm", "BASH_CMDS=x npm"]);
    for wrong in ["A=1", "B, =", "X\0"] {
        assert!(parse_list::<VariablePattern>(wrong).is_err(), "{wrong}");
    }
    assert_eq!(toml::from_str::<Policy>(&toml::to_string(&permitted).unwrap()).unwrap(), permitted);
    assert!(toml::from_str::<Policy>("allow_variables = [\"A=1\"]").is_err());
}
