//! Real programs of coding agents, in the clean environment of a test, with simulated models.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::models::{GREETING, Models};
use crate::needs;
use crate::support::{Ran, TestEnv, wait_for};

/// An agent that is installed and, as far as it knows, logged in.
pub(crate) struct Agent {
    pub(crate) program: PathBuf,
    /// The variables that it must find in its environment.
    pub(crate) variables: Vec<(&'static str, String)>,
}

impl Agent {
    /// Claude Code; `None` if it is not installed.
    pub(crate) fn claude(models: &Models) -> Option<Self> {
        let program = needs::agent("claude")?;
        let variables = [
            ("ANTHROPIC_BASE_URL", models.url()),
            ("ANTHROPIC_API_KEY", "made-up".to_owned()),
            ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1".to_owned()),
            ("CLAUDE_CODE_MAX_RETRIES", "0".to_owned()),
        ];
        Some(Self { program, variables: variables.into() })
    }

    /// Codex; `None` if it is not installed. Writes its configuration.
    pub(crate) fn codex(env: &TestEnv, models: &Models) -> Option<Self> {
        let program = needs::agent("codex")?;
        let configuration = format!(
            "model = \"made-up\"\nmodel_provider = \"made-up\"\n\n[model_providers.made-up]\nname = \"Made up\"\n\
             base_url = \"{}/v1\"\nenv_key = \"MADE_UP_KEY\"\nwire_api = \"responses\"\nrequest_max_retries = 0\n\
             stream_max_retries = 0\n",
            models.url()
        );
        std::fs::create_dir_all(env.dir().join(".codex")).unwrap();
        std::fs::write(env.dir().join(".codex/config.toml"), configuration).unwrap();
        Some(Self { program, variables: vec![("MADE_UP_KEY", "made-up".to_owned())] })
    }

    /// Gemini CLI; `None` if it is not installed. Writes its configuration.
    pub(crate) fn gemini(env: &TestEnv, models: &Models) -> Option<Self> {
        let program = needs::agent("gemini")?;
        let configuration = r#"{"security":{"auth":{"selectedType":"gemini-api-key"}},"general":{"disableAutoUpdate":true},
            "privacy":{"usageStatisticsEnabled":false}}"#;
        std::fs::create_dir_all(env.dir().join(".gemini")).unwrap();
        std::fs::write(env.dir().join(".gemini/settings.json"), configuration).unwrap();
        let variables = [
            ("GOOGLE_GEMINI_BASE_URL", models.url()),
            ("GEMINI_API_KEY", "made-up".to_owned()),
            // Otherwise it asks a model which model to ask.
            ("GEMINI_MODEL", "gemini-2.5-flash".to_owned()),
        ];
        Some(Self { program, variables: variables.into() })
    }

    /// opencode; `None` if it is not installed. Writes its configuration.
    pub(crate) fn opencode(env: &TestEnv, models: &Models) -> Option<Self> {
        let program = needs::agent("opencode")?;
        let configuration = json!({
            "model": "anthropic/made-up", "small_model": "anthropic/made-up", "autoupdate": false, "share": "disabled",
            "provider": { "anthropic": {
                "options": { "baseURL": format!("{}/v1", models.url()), "apiKey": "made-up" },
                "models": { "made-up": { "name": "Made up", "tool_call": true } },
            } },
        });
        let directory = env.dir().join(".config/opencode");
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join("opencode.json"), configuration.to_string()).unwrap();
        let variables =
            ["OPENCODE_DISABLE_MODELS_FETCH", "OPENCODE_DISABLE_AUTOUPDATE", "OPENCODE_DISABLE_LSP_DOWNLOAD"];
        Some(Self { program, variables: variables.map(|name| (name, "1".to_owned())).into() })
    }

    /// The agent with these arguments and this prompt, not yet run.
    pub(crate) fn asked(&self, env: &TestEnv, arguments: &[&str], prompt: &str) -> Command {
        let file = env.dir().join("prompt");
        std::fs::write(&file, prompt).unwrap();
        let mut command = env.command(&self.program);
        command.args(arguments).envs(self.variables.iter().cloned()).stdin(File::open(file).unwrap());
        command
    }
}

/// Returns what an agent printed, line by line.
pub(crate) fn events(ran: &Ran) -> Vec<Value> {
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {ran}"))).collect()
}

/// The arguments with which programs call Claude Code.
pub(crate) const CLAUDE: [&str; 4] = ["-p", "--output-format", "stream-json", "--verbose"];

/// The arguments with which programs call Codex.
pub(crate) const CODEX: [&str; 3] = ["exec", "--json", "--skip-git-repo-check"];

/// An agent does what its model says, and its model gets the result.
fn models_are_understood(env: &TestEnv, agent: impl Fn(&Models) -> Option<Agent>, arguments: &[&str]) {
    let models = Models::start();
    let Some(installed) = agent(&models) else { return };
    let run = |prompt: &str| {
        let ran = Ran::of(installed.asked(env, arguments, prompt));
        (ran.code, events(&ran).pop().unwrap().to_string(), ran)
    };
    let (code, _, ran) = run("Good morning.");
    assert!(code == Some(0) && ran.stdout.contains(GREETING), "{ran}");
    let (code, _, ran) = run("Please\nshell echo out of a shell\nwrite made.txt by a tool\nsay it is done");
    assert!(code == Some(0) && ran.stdout.contains("it is done"), "{ran}");
    let heard = models.heard();
    assert!(heard.last().unwrap().results[0].contains("out of a shell"), "{heard:#?}");
    assert_eq!(std::fs::read_to_string(env.dir().join("made.txt")).unwrap(), "by a tool\n");
    let (code, last, ran) = run("fail 400");
    assert!(code == Some(1) && last.contains("failed with 400, as asked"), "{ran}");
    // A client that waits for an answer that never ends sees the end of the server.
    let others = Models::start();
    let mut command = agent(&others).unwrap().asked(env, arguments, "never");
    let mut waiting = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    wait_for("the model to be asked", || (!others.heard().is_empty()).then_some(()));
    drop(others);
    assert!(!waiting.wait().unwrap().success());
}

#[test]
fn claude_code_understands_the_models() {
    models_are_understood(&TestEnv::new(), Agent::claude, &[&CLAUDE[..], &["--permission-mode=acceptEdits"]].concat());
}

#[test]
fn codex_understands_the_models() {
    let env = TestEnv::new();
    let arguments = [&CODEX[..], &["-s", "workspace-write"]].concat();
    models_are_understood(&env, |models| Agent::codex(&env, models), &arguments);
}
