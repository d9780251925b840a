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

/// Wherever the second command may hide, it is found: under a list that allows the first only, and under one that denies
/// the second.
const HIDDEN: [&str; 67] = [
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
    "X=$(rm y)",
    "X=$(rm y) npm x",
    "X=(a $(rm y))",
    "X[$(rm y)]=1",
    "npm ${x:-$(rm y)}",
    "npm \"${x:-\"`rm y`\"}\"",
    "npm ${x:-${y:-$(rm y)}}",
    "npm ${a[$(rm y)]}",
    "npm ${x/$(rm y)/b}",
    "npm $((1 + $(rm y)))",
    "npm $[ $(rm y) ]",
    "npm ${ rm y; }",
    "npm $\"a $(rm y)\"",
    "npm {a,$(rm y)}",
    "(( x = $(rm y) ))",
    "for ((i = $(rm y); i < 1; i++)); do npm x; done",
    "[[ -f $(rm y) ]]",
    "[[ a && (b == `rm y`) ]]",
    "npm x <<E\n$(rm y)\nE",
    "npm x <<E\n\"a\" '$(rm y)' it's\nE",
    "npm x <<E\n\\\\`rm y`\nE",
    "npm x <<E\n$(( $(rm y) ))\nE",
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

/// The same, of what other commands run.
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
    "env -i -u B A=1 rm y",
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
    "nohup nice timeout 5 env A=1 sh -c 'eval \"rm y\"'",
    "npm x | xargs -n1 env rm",
];

/// Whatever is in force, these are refused since nobody can tell what they would run.
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
    // Most are refused for the right reason, and not for being odd.
    let by_name = HIDDEN.iter().filter(|text| line(&deny, text).unwrap_err().ends_with("`rm` is denied")).count();
    assert_eq!(by_name, HIDDEN.len() - 2, "all but `$[ ]` and `${{ }}`");
    for text in HIDDEN {
        let harmless = text.replace("rm y", "npm y").replace("r'm'", "n'pm'").replace("\\rm", "\\npm");
        if !["$[", "${ ", "X["].iter().any(|odd| text.contains(odd)) {
            permits(&allow, &[&harmless]);
            permits(&deny, &[&harmless]);
        }
    }
}

#[test]
fn what_another_command_runs_is_found() {
    let (allow, deny) = (policy(EVERYTHING_THAT_WRAPS, ""), policy("", "rm"));
    refuses(&allow, &WRAPPED);
    for text in WRAPPED {
        assert!(line(&deny, text).is_err_and(|told| told.ends_with("`rm` is denied")), "{text}");
        let harmless = text.replace("rm", "npm");
        permits(&allow, &[&harmless]);
        permits(&deny, &[&harmless]);
    }
    // Both must be allowed: what wraps, and what is wrapped.
    refuses(&policy("npm", ""), &["env npm x", "sh -c 'npm x'", "timeout 5 npm x", "eval npm x", "npm x | xargs npm"]);
}

#[test]
fn what_cannot_be_judged_is_refused() {
    refuses(&policy(EVERYTHING_THAT_WRAPS, ""), &UNJUDGED);
    refuses(&policy("*", ""), &UNJUDGED);
    refuses(&policy("", "nosuch"), &UNJUDGED);
    permits(&Policy::default(), &UNJUDGED);
}

#[test]
fn what_is_allowed_passes() {
    let allowed = policy("npm, tail, cat, cargo *, git status, ./gradlew", "npm publish");
    let passing = [
        "npm x",
        "npm",
        "npm x 2>&1 | tail -5",
        "npm x && npm y; npm z &",
        "npm x\nnpm y # rm z\n",
        "VAR=1 npm x",
        "X=1",
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
            "X=1 rm y",
            "gradlew test",
            ". ./npm",
            "[ -f npm ]",
        ],
    );
}

#[test]
fn a_variable_that_changes_what_runs_is_refused_where_few_are_allowed() {
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
fn deny_wins_and_finds_a_program_wherever_it_is() {
    let denied = policy("*", "rm, git push --force*, npm run deploy*");
    refuses(
        &denied,
        &["rm", "/bin/rm x", "./rm x", "git push --force", "git push --force-with-lease origin", "npm run deploy:all"],
    );
    permits(&denied, &["rmdir x", "git push", "git push origin --force", "npm run deplo", "echo rm", "./x/y z"]);
    // What is known only when it runs matches nothing but `*`.
    permits(&denied, &["git $X --force", "git push $X"]);
    refuses(&policy("", "git *"), &["git $X"]);
}

#[test]
fn the_words_of_an_argv_are_judged_as_they_are() {
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
fn a_refusal_says_what_and_why() {
    let refusal = |text| line(&policy("npm, git status", "npm publish"), text).unwrap_err();
    assert_eq!(refusal("npm x && rm -rf /"), "`rm -rf /` is not permitted: allowed are: npm, git status");
    assert_eq!(refusal("npm publish"), "`npm publish` is not permitted: `npm publish` is denied");
    let unparsed = refusal("npm 'x");
    assert!(unparsed.starts_with("`npm 'x` is not permitted: it cannot be judged: "), "{unparsed}");
    let long = refusal(&format!("rm {}", "é".repeat(500)));
    assert!(long.chars().count() < 250, "{long}");
}

#[test]
fn a_line_for_a_shell_of_another_kind_is_refused() {
    let check = |shell: &str| policy("npm", "").check(&JobSpec::shell("npm x").with_shell(shell).build().unwrap());
    assert!(check("/bin/bash").is_ok() && check("sh").is_ok());
    assert!(check("/usr/bin/fish").is_err() && check("zsh").is_err());
}

/// 128 KiB is the longest line there is.
#[test]
fn no_line_is_too_much() {
    let denied = policy("", "nosuch");
    for (text, is_permitted) in [
        ("a;".repeat(60_000), true),
        ("a&&".repeat(40_000) + "a", true),
        ("a|".repeat(60_000) + "a", true),
        ("a\n".repeat(60_000), true),
        ("a ".repeat(60_000), true),
        (format!("a <<E\n{}\nE", "$x ".repeat(40_000)), true),
        (format!("{}a{}", "(".repeat(60_000), ")".repeat(60_000)), false),
        (format!("a {}b{}", "$(".repeat(40_000), ")".repeat(40_000)), false),
        (format!("[[ {}a{} ]]", "( ".repeat(30_000), " )".repeat(30_000)), false),
        (format!("a {}b", "`".repeat(100_000)), false),
        (format!("a <<E\n{}\nE", "${".repeat(60_000)), false),
        (format!("{}a{}", "{ ".repeat(30_000), ";}".repeat(30_000)), false),
        (format!("{} a", "eval ".repeat(20_000)), false),
    ] {
        let verdict = line(&denied, &text);
        assert_eq!(verdict.is_ok(), is_permitted, "{} {verdict:?}", &text[..20]);
    }
}

#[test]
fn a_pattern_is_words() {
    assert_eq!(list_text(&parse_list(" npm ,, git   status,").unwrap()), "npm, git status");
    assert!(parse_list("").unwrap().is_empty());
    for wrong in ["npm; rm", "npm && rm", "$X", "'npm'", "a\nb", "a | b"] {
        assert!(parse_list(wrong).is_err(), "{wrong}");
    }
    let stored: Policy = toml::from_str("allow = [\"npm run *\"]").unwrap();
    assert_eq!(stored, policy("npm run *", ""));
    assert_eq!(toml::from_str::<Policy>(&toml::to_string(&stored).unwrap()).unwrap(), stored);
    assert!(toml::from_str::<Policy>("allow = [\"a;b\"]").is_err());
}
