//! The command line of each CLI: a table of delegations and the command lines that they become.

use serde_json::json;

use crate::agent::{AgentTable, Agents, Delegation, Format, PermissionMode, Schema};
use crate::environment::Environment;
use crate::error::Error;
use crate::signal::Signal;
use crate::spec::{Command, JobSpec, Stdin};

const SESSION: &str = "109a7d28-e02b-4042-ab7c-251fa9834d6e";

type Ask = fn(&mut Delegation);

fn built(agents: &Agents, agent: &str, ask: impl Fn(&mut Delegation)) -> Result<JobSpec, Error> {
    let mut asked = Delegation::new("do it", "/src");
    ask(&mut asked);
    let environment: Environment = [("PATH", "/bin"), ("PWD", "/elsewhere")].into_iter().collect();
    agents.get(agent)?.spec(&asked, environment)?.build()
}

fn words(spec: &JobSpec) -> String {
    match &spec.command {
        Command::Argv(argv) => argv.join(" "),
        Command::Shell(_) => panic!("an agent is never run by a shell"),
    }
}

fn line(agent: &str, ask: impl Fn(&mut Delegation)) -> String {
    words(&built(&Agents::default(), agent, ask).unwrap())
}

fn refusal(agent: &str, ask: impl Fn(&mut Delegation)) -> String {
    built(&Agents::default(), agent, ask).unwrap_err().to_string()
}

#[test]
fn the_command_line_of_claude() {
    const BEGIN: &str = "claude --print --output-format=stream-json --verbose --permission-mode=";
    let table: [(Ask, &str); 12] = [
        (|_| {}, "acceptEdits"),
        (
            |asked| asked.permission_mode = PermissionMode::ReadOnly,
            "dontAsk --tools=Read,Grep,Glob,WebFetch,WebSearch,ToolSearch",
        ),
        (
            |asked| {
                asked.permission_mode = PermissionMode::ReadOnly;
                asked.allow_tools = vec!["Bash(git log *)".into(), "mcp__jobs".into()];
            },
            "dontAsk --tools=Read,Grep,Glob,WebFetch,WebSearch,ToolSearch,Bash --allowedTools=Bash(git log *) \
             --allowedTools=mcp__jobs",
        ),
        (|asked| asked.permission_mode = PermissionMode::Full, "bypassPermissions"),
        (
            |asked| asked.allow_tools = vec!["Bash(git *)".into(), "WebFetch".into()],
            "acceptEdits --allowedTools=Bash(git *) --allowedTools=WebFetch",
        ),
        (|asked| asked.add_dirs = vec!["/a b".into(), "/c".into()], "acceptEdits --add-dir=/a b --add-dir=/c"),
        (
            |asked| (asked.model, asked.effort) = (Some("opus".into()), Some("high".into())),
            "acceptEdits --model=opus --effort=high",
        ),
        (
            |asked| asked.effort = Some("ultracode".into()),
            r#"acceptEdits --effort=xhigh --settings={"ultracode":true}"#,
        ),
        (
            |asked| (asked.max_turns, asked.max_budget_usd) = (Some(3), Some(0.5)),
            "acceptEdits --max-turns=3 --max-budget-usd=0.5",
        ),
        (|asked| asked.resume = Some(SESSION.into()), "acceptEdits --resume=109a7d28-e02b-4042-ab7c-251fa9834d6e"),
        (
            |asked| (asked.session_id, asked.system_prompt) = (Some(SESSION.into()), Some("-Be brief.".into())),
            "acceptEdits --session-id=109a7d28-e02b-4042-ab7c-251fa9834d6e --append-system-prompt=-Be brief.",
        ),
        (
            |asked| asked.schema = Some(Schema::Json(json!({"type": "object"}))),
            r#"acceptEdits --json-schema={"type":"object"}"#,
        ),
    ];
    for (ask, expected) in table {
        assert_eq!(line("claude", ask), format!("{BEGIN}{expected}"));
    }
    assert!(refusal("claude", |asked| asked.effort = Some("huge".into())).contains("use one of low, medium"));
    assert!(refusal("claude", |asked| asked.session_id = Some("mine".into())).contains("UUID"));
    assert!(refusal("claude", |asked| asked.prompt = "x".repeat((10 << 20) + 1)).contains("accepts 10485760"));
    let missing = |asked: &mut Delegation| asked.schema = Some(Schema::File("/nosuch/schema".into()));
    assert_eq!(refusal("claude", missing), "cannot read `/nosuch/schema`");
}

#[test]
fn the_command_line_of_codex() {
    const BEGIN: &str = "codex exec --json --skip-git-repo-check --sandbox=";
    let table: [(Ask, &str); 7] = [
        (|_| {}, "workspace-write -"),
        (|asked| asked.permission_mode = PermissionMode::ReadOnly, "read-only -"),
        (|asked| asked.permission_mode = PermissionMode::Full, "danger-full-access -"),
        (|asked| asked.add_dirs = vec!["/a".into()], "workspace-write --add-dir=/a -"),
        (
            |asked| (asked.model, asked.effort) = (Some("gpt".into()), Some("low\"\u{7f}".into())),
            r#"workspace-write --model=gpt --config=model_reasoning_effort="low\"\u007f" -"#,
        ),
        (
            |asked| (asked.resume, asked.system_prompt) = (Some(SESSION.into()), Some("Be brief.\n".into())),
            r#"workspace-write --config=developer_instructions="Be brief.\n" resume 109a7d28-e02b-4042-ab7c-251fa9834d6e -"#,
        ),
        (
            |asked| asked.schema = Some(Schema::File("/schema.json".into())),
            "workspace-write --output-schema=/schema.json -",
        ),
    ];
    for (ask, expected) in table {
        assert_eq!(line("codex", ask), format!("{BEGIN}{expected}"));
    }
    let refused: [(Ask, &str); 6] = [
        (|asked| asked.max_turns = Some(1), "max turns: Codex cannot"),
        (|asked| asked.max_budget_usd = Some(1.0), "max budget: Codex does not know its cost"),
        (|asked| asked.allow_tools = vec!["x".into()], "allow tool: Codex does not permit single tools"),
        (|asked| asked.session_id = Some(SESSION.into()), "session id: Codex chooses it"),
        (|asked| asked.schema = Some(Schema::Json(json!({}))), "schema: Codex reads it from a file"),
        (|asked| asked.prompt = "é".repeat((1 << 20) + 1), "prompt: 1048577 characters, but Codex accepts 1048576"),
    ];
    for (ask, expected) in refused {
        let refusal = refusal("codex", ask);
        assert!(refusal.starts_with(expected), "{refusal}");
    }
    assert!(built(&Agents::default(), "codex", |asked| asked.prompt = "é".repeat(1 << 20)).is_ok());
}

#[test]
fn the_command_line_of_gemini() {
    const BEGIN: &str = "gemini --skip-trust --output-format=stream-json --approval-mode=";
    let table: [(Ask, &str); 5] = [
        (|_| {}, "auto_edit"),
        (|asked| asked.permission_mode = PermissionMode::ReadOnly, "default"),
        (|asked| asked.permission_mode = PermissionMode::Full, "yolo"),
        (
            |asked| {
                asked.model = Some("flash".into());
                asked.allow_tools = vec!["run_shell_command(git)".into()];
                asked.add_dirs = vec!["/a".into()];
                asked.session_id = Some(SESSION.into());
            },
            "auto_edit --allowed-tools=run_shell_command(git) --include-directories=/a --model=flash \
             --session-id=109a7d28-e02b-4042-ab7c-251fa9834d6e",
        ),
        (|asked| asked.resume = Some(SESSION.into()), "auto_edit --resume=109a7d28-e02b-4042-ab7c-251fa9834d6e"),
    ];
    for (ask, expected) in table {
        assert_eq!(line("gemini", ask), format!("{BEGIN}{expected}"));
    }
    let refused: [Ask; 5] = [
        |asked| asked.effort = Some("high".into()),
        |asked| asked.max_turns = Some(1),
        |asked| asked.max_budget_usd = Some(1.0),
        |asked| asked.system_prompt = Some("x".into()),
        |asked| asked.schema = Some(Schema::File("/x".into())),
    ];
    for ask in refused {
        assert!(refusal("gemini", ask).contains("Gemini CLI"));
    }
    let spec = built(&Agents::default(), "gemini", |_| {}).unwrap();
    assert_eq!(spec.environment.get("GEMINI_CLI_NO_RELAUNCH").unwrap(), "true");
}

#[test]
fn the_command_line_of_opencode() {
    let table: [(Ask, &str, Option<&str>); 4] = [
        (|_| {}, "", Some(r#"{"edit":"allow","bash":"deny","external_directory":"deny"}"#)),
        (
            |asked| asked.permission_mode = PermissionMode::ReadOnly,
            "",
            Some(r#"{"edit":"deny","bash":"deny","external_directory":"deny","task":"deny"}"#),
        ),
        (|asked| asked.permission_mode = PermissionMode::Full, " --auto", None),
        (
            |asked| {
                asked.permission_mode = PermissionMode::Full;
                asked.model = Some("a/b".into());
                asked.effort = Some("max".into());
                asked.resume = Some("ses_1".into());
            },
            " --auto --model=a/b --variant=max --session=ses_1",
            None,
        ),
    ];
    for (ask, expected, permission) in table {
        let spec = built(&Agents::default(), "opencode", ask).unwrap();
        assert_eq!(words(&spec), format!("opencode run --format=json{expected}"));
        assert_eq!(spec.environment.get("OPENCODE_PERMISSION").map(|value| value.to_str().unwrap()), permission);
    }
    let refused: [Ask; 7] = [
        |asked| asked.max_turns = Some(1),
        |asked| asked.max_budget_usd = Some(1.0),
        |asked| asked.allow_tools = vec!["x".into()],
        |asked| asked.add_dirs = vec!["/x".into()],
        |asked| asked.session_id = Some("ses_1".into()),
        |asked| asked.system_prompt = Some("x".into()),
        |asked| asked.schema = Some(Schema::File("/x".into())),
    ];
    for ask in refused {
        assert!(refusal("opencode", ask).contains("opencode"));
    }
}

fn declared(table: &str) -> Agents {
    let mut agents = Agents::default();
    agents.set("mine", toml::from_str(table).unwrap()).unwrap();
    agents
}

#[test]
fn the_command_line_of_a_declared_agent() {
    let agents = declared(
        r#"
        program = "/opt/mine"
        arguments = ["run"]
        edit = ["--yes"]
        model = "small"
        model_arguments = ["--model", "{}"]
        resume_arguments = ["--session={}"]
        "#,
    );
    let spec = built(&agents, "mine", |_| {}).unwrap();
    assert_eq!(words(&spec), "/opt/mine run --yes --model small");
    assert_eq!((spec.given.0.as_slice(), spec.agent_run().unwrap().format), (b"do it".as_slice(), Format::Text));
    let resumed = built(&agents, "mine", |asked| asked.resume = Some("-7".into())).unwrap();
    assert_eq!(words(&resumed), "/opt/mine run --yes --model small --session=-7");
    let refused: [(Ask, &str); 4] = [
        (|asked| asked.permission_mode = PermissionMode::ReadOnly, "declare them as `agents.mine.read_only`"),
        (|asked| asked.effort = Some("x".into()), "`agents.mine.effort_arguments`"),
        (|asked| asked.max_turns = Some(3), "`agents.mine.arguments`"),
        (|asked| asked.model = Some("--yolo".into()), "begins with a dash"),
    ];
    for (ask, expected) in refused {
        let refusal = built(&agents, "mine", ask).unwrap_err().to_string();
        assert!(refusal.contains(expected), "{refusal}");
    }
}

#[test]
fn a_prompt_is_passed_as_an_argument_if_it_can_be() {
    let agents = declared("edit = []\nformat = 'claude'\nprompt_arguments = ['--message', '{}']");
    let prompt = |text: &str| built(&agents, "mine", |asked| asked.prompt = text.to_owned());
    let spec = prompt("fix \"it\"\n🙂").unwrap();
    assert_eq!(words(&spec), "mine --message fix \"it\"\n🙂");
    assert_eq!((spec.stdin.clone(), spec.agent_run().unwrap().format), (Stdin::Closed, Format::Claude));
    assert!(prompt("-x").unwrap_err().to_string().starts_with("prompt: it begins with a dash"));
    assert!(prompt("a\0b").unwrap_err().to_string().contains("a NUL byte"));
    assert!(prompt(&"x".repeat(131_071)).is_ok());
    assert!(prompt(&"x".repeat(131_072)).unwrap_err().to_string().contains("of at most 131071"));
    let agents = declared("edit = []\nprompt_arguments = ['--', '{}']");
    assert_eq!(words(&built(&agents, "mine", |asked| asked.prompt = "-x".into()).unwrap()), "mine -- -x");
}

#[test]
fn a_prompt_is_unchanged_except_for_a_leading_slash() {
    for agent in ["claude", "codex", "gemini", "opencode"] {
        for prompt in ["-x", "--help", "a\0b", " /cost", "'\"$(id)\n🙂\r\n"] {
            let spec = built(&Agents::default(), agent, |asked| asked.prompt = prompt.to_owned()).unwrap();
            assert_eq!((&spec.stdin, spec.given.0.as_slice()), (&Stdin::Given, prompt.as_bytes()), "{agent}");
            assert!(!words(&spec).contains(prompt), "{agent}");
        }
        assert!(refusal(agent, |asked| asked.prompt = " \n".into()).starts_with("prompt: it is empty"));
    }
    let spec = built(&Agents::default(), "claude", |asked| asked.prompt = "/cost".into()).unwrap();
    assert_eq!(spec.given.0, b"\n/cost");
    assert_eq!(spec.agent_run().unwrap().prompt, "/cost");
}

#[test]
fn tasks_that_no_agent_supports_are_refused() {
    let refused: [(Ask, &str); 6] = [
        (|asked| asked.model = Some(String::new()), "model: it is empty; leave it out"),
        (|asked| asked.max_turns = Some(0), "max turns: 0 means no limit to some agents; leave it out"),
        (|asked| asked.max_budget_usd = Some(f64::NAN), "max budget: must be more than 0"),
        (|asked| asked.add_dirs = vec!["x".into()], "add dir: `x` is not an absolute path"),
        (|asked| asked.cwd = "x".into(), "cwd: `x` is not an absolute path"),
        (
            |asked| (asked.resume, asked.session_id) = (Some(SESSION.into()), Some(SESSION.into())),
            "session id: a resumed conversation keeps its own; leave it out",
        ),
    ];
    for (ask, expected) in refused {
        assert_eq!(refusal("claude", ask), expected);
    }
    assert!(refusal("nobody", |_| {}).starts_with("agent: `nobody` is not known; use one of claude, codex,"));
}

#[test]
fn the_job_is_described_as_an_agent_run() {
    let spec = built(&Agents::default(), "claude", |asked| asked.model = Some("opus".into())).unwrap();
    let run = spec.agent_run().unwrap();
    assert_eq!((run.agent.as_str(), run.format, run.depth), ("claude", Format::Claude, 1));
    assert_eq!((run.model.as_deref(), run.permission_mode), (Some("opus"), PermissionMode::Edit));
    assert_eq!((spec.output_limit, spec.stop_signal), (256 << 20, Some(Signal::INT)));
    assert_eq!(spec.group.unwrap().as_str(), "agents");
    let variable = |name: &str| spec.environment.get(name).unwrap().to_str().unwrap().to_owned();
    assert_eq!((variable("JOBCORE_AGENT_DEPTH"), variable("PWD")), ("1".to_owned(), "/src".to_owned()));
    let deep = |said: &str| {
        let environment: Environment = [("JOBCORE_AGENT_DEPTH", said)].into_iter().collect();
        let agents = Agents::default();
        let spec = agents.get("codex").unwrap().spec(&Delegation::new("x", "/"), environment).unwrap().build().unwrap();
        spec.agent_run().unwrap().depth
    };
    assert_eq!((deep("1"), deep("4294967295"), deep("none")), (2, u32::MAX, 2));
}

#[test]
fn settings_change_known_agents_and_declare_others() {
    let mut agents = Agents::default();
    let table: AgentTable =
        toml::from_str("program = '/x/claude'\nmodel = 'sonnet'\neffort = 'low'\narguments = ['--bare']").unwrap();
    agents.set("claude", table).unwrap();
    let spec = built(&agents, "claude", |asked| asked.effort = Some("high".into())).unwrap();
    assert_eq!(
        words(&spec),
        "/x/claude --bare --print --output-format=stream-json --verbose --permission-mode=acceptEdits --model=sonnet \
         --effort=high"
    );
    let codex = toml::from_str("arguments = ['--ignore-rules']").unwrap();
    agents.set("codex", codex).unwrap();
    assert!(words(&built(&agents, "codex", |_| {}).unwrap()).starts_with("codex exec --ignore-rules --json "));
    for (name, table, expected) in [
        ("claude", "format = 'text'", "`format` is fixed for Claude Code and cannot be set"),
        ("mine", "format = 'txt'", "format: `txt` is not known; use claude, codex, gemini, opencode or text"),
        ("mine", "model_arguments = ['-m']", "model_arguments: the placeholder `{}` for the value is missing"),
        ("a b", "", "`a b` is not a name"),
    ] {
        let refused = agents.set(name, toml::from_str(table).unwrap()).unwrap_err();
        assert!(refused.starts_with(expected), "{refused}");
    }
    assert_eq!(agents.names().collect::<Vec<_>>(), ["claude", "codex", "gemini", "opencode"]);
}
