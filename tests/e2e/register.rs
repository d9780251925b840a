//! `jobmcp register`, `unregister` and `doctor`: what they do to the files of other programs, and what they prove.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::doctor::{result, steps};
use crate::mcp_client::JOBMCP;
use crate::support::{JOBCLI, Ran, TestEnv};
use crate::{needs, sessions};

/// Each client, each scope that it has, and its file.
const FILES: [(&str, &str, &str); 19] = [
    ("claude-code", "user", ".claude.json"),
    ("claude-code", "project", ".mcp.json"),
    ("claude-desktop", "user", ".config/Claude/claude_desktop_config.json"),
    ("cline", "user", ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"),
    ("codex", "user", ".codex/config.toml"),
    ("codex", "project", ".codex/config.toml"),
    ("copilot-cli", "user", ".copilot/mcp-config.json"),
    ("copilot-cli", "project", ".github/mcp.json"),
    ("cursor", "user", ".cursor/mcp.json"),
    ("cursor", "project", ".cursor/mcp.json"),
    ("gemini-cli", "user", ".gemini/settings.json"),
    ("gemini-cli", "project", ".gemini/settings.json"),
    ("opencode", "user", ".config/opencode/opencode.json"),
    ("opencode", "project", "opencode.json"),
    ("vscode", "user", ".config/Code/User/mcp.json"),
    ("vscode", "project", ".vscode/mcp.json"),
    ("windsurf", "user", ".codeium/windsurf/mcp_config.json"),
    ("zed", "user", ".config/zed/settings.json"),
    ("zed", "project", ".zed/settings.json"),
];

const CLIENTS: [&str; 11] = [
    "claude-code",
    "claude-desktop",
    "cline",
    "codex",
    "copilot-cli",
    "cursor",
    "gemini-cli",
    "opencode",
    "vscode",
    "windsurf",
    "zed",
];

const JSON: &str = "{\n  \"other\": [1, 2],\n  \"KEY\": {\n    \"db\": { \"command\": \"db\", \"env\": { \"K\": \"secret\" } }\n  }\n}\n";
const TOML: &str =
    "# mine\nmodel = \"x\"\n\n[mcp_servers.db]\ncommand = \"db\" # local\n[mcp_servers.db.env]\nK = \"secret\"\n";

fn jobmcp(env: &TestEnv, arguments: &[&str]) -> Ran {
    let mut command = env.command(JOBMCP);
    command.args(arguments);
    Ran::of(command)
}

fn ok(env: &TestEnv, arguments: &[&str]) -> String {
    let ran = jobmcp(env, arguments);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    ran.stdout
}

/// Writes a file like that of a user, below the directory of the test.
fn existing(env: &TestEnv, client: &str, file: &str) -> (PathBuf, String) {
    let path = env.dir().join(file);
    let text = match client {
        "codex" => TOML.to_owned(),
        "vscode" => JSON.replace("KEY", "servers"),
        "opencode" => JSON.replace("KEY", "mcp"),
        "zed" => JSON.replace("KEY", "context_servers"),
        _ => JSON.replace("KEY", "mcpServers"),
    };
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, &text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    (path, text)
}

fn backups(path: &Path) -> Vec<PathBuf> {
    let name = format!("{}.bak-", path.file_name().unwrap().to_str().unwrap());
    let entries = fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(&name)).collect()
}

#[test]
fn every_client_gets_its_entry_and_loses_it_again() {
    for (client, scope, file) in FILES {
        let env = TestEnv::without_store();
        let (path, before) = existing(&env, client, file);
        let place = ["--client", client, "--scope", scope];
        let told = ok(&env, &[["register"].as_slice(), &place, &["--store", "s"]].concat());
        assert!(told.starts_with(&format!("{client}: `jobs` is registered in {}\n", path.display())), "{told}");
        assert!(told.contains(&format!("+command = \"{JOBMCP}\"")) || told.contains("+      \"command\": "), "{told}");
        assert!(told.contains("\nnext: ") && !told.contains("secret"), "{told}");
        let after = fs::read_to_string(&path).unwrap();
        assert!(after.contains(JOBMCP) && after.contains(env.dir().join("s").to_str().unwrap()), "{after}");
        assert!(before.lines().all(|line| after.contains(line)), "{after}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let saved = backups(&path);
        assert_eq!(
            saved.iter().map(|path| fs::read_to_string(path).unwrap()).collect::<Vec<_>>(),
            std::slice::from_ref(&before)
        );
        assert_eq!(saved[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);

        let again = ok(&env, &[["register"].as_slice(), &place, &["--store", "s"]].concat());
        assert!(again.contains("nothing is changed") && again.lines().count() == 1, "{again}");
        assert_eq!(fs::read_to_string(&path).unwrap(), after);
        assert_eq!(backups(&path).len(), 1, "nothing was written");

        ok(&env, &[["unregister"].as_slice(), &place].concat());
        assert_eq!(fs::read_to_string(&path).unwrap(), before);
        assert!(ok(&env, &[["unregister"].as_slice(), &place].concat()).contains("there is no `jobs` in"));
        assert!(!env.store().exists(), "no store is made for this");
    }
}

#[test]
fn hooks_are_written_and_removed_with_the_server() {
    for (client, file) in [
        ("claude-code", ".claude/settings.json"),
        ("codex", ".codex/hooks.json"),
        ("gemini-cli", ".gemini/settings.json"),
        ("opencode", ".config/opencode/plugin/jobcore.js"),
    ] {
        let env = TestEnv::without_store();
        let path = env.dir().join(file);
        sessions::path(&env);
        let with_path = |verb: &str| {
            let mut command = env.command(env.dir().join("bin/jobmcp"));
            command.args([verb, "--client", client, "--hooks"]);
            let ran = Ran::of(command);
            assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
            ran.stdout
        };
        if client == "claude-code" {
            let theirs = "{\n  \"hooks\": {\n    \"Stop\": [{ \"hooks\": [{ \"type\": \"command\", \"command\": \"say\" }] }]\n  }\n}\n";
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, theirs).unwrap();
        }
        let told = with_path("register");
        assert!(told.contains(&format!("{client}: its hooks are written into {}", path.display())), "{told}");
        assert_eq!(told.contains("config set callers.codex.on_end"), client == "codex", "{told}");
        let text = fs::read_to_string(&path).unwrap();
        let jobcli = env.dir().join("bin/jobcli");
        assert!(text.contains(jobcli.to_str().unwrap()), "{text}");
        assert!(with_path("register").contains("its hooks are already in"), "{client}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);

        let clients = || {
            let steps = steps(&jobmcp(&env, &["doctor", "--json"]));
            steps.into_iter().find(|step| step["name"] == "clients").unwrap()
        };
        let step = clients();
        assert_eq!(step["result"], "ok", "{step}");
        assert_eq!(step["detail"], format!("registered with {client} (server), {client} (hooks)"));
        fs::remove_file(&jobcli).unwrap();
        let step = clients();
        assert_eq!(step["result"], "failed", "{step}");
        assert!(step["detail"].as_str().unwrap().contains(&format!("register --client {client} --hooks")), "{step}");

        with_path("unregister");
        let rest = fs::read_to_string(&path).unwrap_or_default();
        assert!(!rest.contains("jobcli") && rest.contains("say") == (client == "claude-code"), "{rest}");
    }
    let env = TestEnv::without_store();
    let ran = jobmcp(&env, &["register", "--client", "cursor", "--hooks"]);
    assert!(ran.code == Some(2) && ran.stderr.contains("cursor has no hooks"), "{ran}");
    assert!(!env.dir().join(".cursor").exists(), "nothing was changed");
}

#[test]
fn a_client_without_a_file_gets_one() {
    for (client, scope, file) in FILES {
        let env = TestEnv::new();
        ok(&env, &["register", "--client", client, "--scope", scope]);
        let text = fs::read_to_string(env.dir().join(file)).unwrap();
        assert_eq!(text, ok(&env, &["register", "--print", "--client", client]), "{client}");
        assert!(backups(&env.dir().join(file)).is_empty(), "there was nothing");
    }
}

/// The block is printed for a terminal and for a file: it contains no character that a terminal obeys, and has the same
/// meaning.
#[test]
fn the_printed_block_is_escaped() {
    let env = TestEnv::new();
    let store = env.dir().join("a\u{9b}31m\u{202e}b");
    let printed =
        |client: &[&str]| ok(&env, &[&["--store", store.to_str().unwrap(), "register", "--print"], client].concat());
    for client in CLIENTS {
        let block = printed(&["--client", client]);
        assert!(block.contains("\\u009b31m\\u202eb") && !block.contains(['\u{9b}', '\u{202e}']), "{client}: {block}");
    }
    let block: serde_json::Value = serde_json::from_str(&printed(&[])).unwrap();
    assert!(block.to_string().contains(store.to_str().unwrap()), "{block}");
}

#[test]
fn without_a_client_all_that_are_found_are_registered() {
    let env = TestEnv::new();
    for verb in ["register", "unregister"] {
        let ran = jobmcp(&env, &[verb]);
        assert_eq!(ran.code, Some(1), "{ran}");
        assert!(CLIENTS.iter().all(|client| ran.stderr.contains(client)) && ran.stderr.contains("--print"), "{ran}");
    }
    fs::create_dir(env.dir().join(".codex")).unwrap();
    fs::create_dir(env.dir().join(".cursor")).unwrap();
    fs::write(env.dir().join(".cursor/mcp.json"), "{").unwrap();
    let ran = jobmcp(&env, &["register"]);
    assert_eq!(ran.code, Some(4), "{ran}");
    assert!(ran.stdout.contains("codex: `jobs` is registered") && ran.stderr.contains(".cursor/mcp.json"), "{ran}");
    assert!(!env.dir().join(".claude.json").exists() && !env.dir().join(".config").exists(), "{ran}");
}

#[test]
fn files_that_are_not_understood_are_left_alone() {
    for (client, scope, file) in FILES {
        let env = TestEnv::new();
        let (path, _) = existing(&env, client, file);
        let arguments = |verb| [verb, "--client", client, "--scope", scope];
        for text in ["{ \"a\": ", "[[[", "\u{0}"] {
            fs::write(&path, text).unwrap();
            for verb in ["register", "unregister"] {
                let ran = jobmcp(&env, &arguments(verb));
                assert_eq!((ran.code, ran.stdout.as_str()), (Some(4), ""), "{ran}");
                assert!(ran.stderr.contains("is not changed: "), "{ran}");
            }
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert!(backups(&path).is_empty());
    }
}

#[test]
fn another_server_of_that_name_is_not_replaced() {
    let env = TestEnv::new();
    let path = env.dir().join(".mcp.json");
    let theirs = "{\"mcpServers\": {\"jobs\": {\"command\": \"/opt/jobs\"}}}";
    fs::write(&path, theirs).unwrap();
    for verb in ["register", "unregister"] {
        let ran = jobmcp(&env, &[verb, "--client", "claude-code", "--scope", "project"]);
        assert_eq!(ran.code, Some(4), "{ran}");
        assert!(ran.stderr.contains("a different server") && ran.stderr.contains("--name"), "{ran}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), theirs);
    ok(&env, &["register", "--client", "claude-code", "--scope", "project", "--name", "background"]);
    let text: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!(text["mcpServers"]["jobs"], json!({ "command": "/opt/jobs" }));
    assert_eq!(text["mcpServers"]["background"]["command"], JOBMCP);
}

#[test]
fn wrong_usage_is_reported() {
    let env = TestEnv::new();
    for arguments in [
        ["register", "--name", "a b"].as_slice(),
        &["register", "--client", "emacs"],
        &["register", "--client", "claude-desktop", "--scope", "project"],
        &["--selftest", "doctor"],
    ] {
        assert_eq!(jobmcp(&env, arguments).code, Some(2), "{arguments:?}");
    }
}

/// A package manager puts a link to each version in the `PATH`. The link outlives the version.
#[test]
fn the_path_is_the_one_by_which_it_was_called() {
    let env = TestEnv::new();
    fs::create_dir(env.dir().join("bin")).unwrap();
    let link = env.dir().join("bin/jobmcp");
    symlink(JOBMCP, &link).unwrap();
    let mut by_name = env.command("sh");
    by_name.args(["-c", "PATH=$PWD/bin:$PATH && jobmcp register --print"]);
    let mut by_path = env.command("bin/jobmcp");
    by_path.args(["register", "--print"]);
    for command in [by_name, by_path] {
        let ran = Ran::of(command);
        let block: Value = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran}"));
        assert_eq!(block["mcpServers"]["jobs"]["command"], link.to_str().unwrap());
    }
    fs::remove_file(&link).unwrap();
}

#[test]
fn the_guide_shows_what_is_printed() {
    let env = TestEnv::new();
    let guide = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mcp-setup.md")).unwrap();
    for client in CLIENTS {
        let block = ok(&env, &["register", "--print", "--client", client]).replace(JOBMCP, "/usr/local/bin/jobmcp");
        assert!(guide.contains(&format!("\n{block}```\n")), "{client}:\n{block}");
    }
    let block = ok(&env, &["register", "--print"]).replace(JOBMCP, "/usr/local/bin/jobmcp");
    assert!(guide.contains(&format!("\n{block}```\n")), "{block}");
    for (client, scope, file) in FILES {
        let named = match scope {
            "user" => format!("~/{file}"),
            _ => file.to_owned(),
        };
        assert!(guide.contains(&format!("`{named}`")), "{client} {scope}");
    }
}

#[test]
fn the_doctor_talks_to_a_server_and_leaves_nothing() {
    let env = TestEnv::new();
    let ran = jobmcp(&env, &["doctor", "--json"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran}");
    let found = steps(&ran);
    let names: Vec<_> = found.iter().map(|step| step["name"].as_str().unwrap()).collect();
    let own = ["serve", "tools", "execute", "background", "survive", "interact", "wait", "kill"];
    assert_eq!(names[..own.len()], own, "{ran}");
    assert!(own.iter().all(|name| result(&found, name) == Some("ok")), "{ran}");
    assert_eq!((result(&found, "store"), result(&found, "stop")), (Some("ok"), Some("ok")), "{ran}");
    assert_eq!(names.iter().filter(|name| **name == "survive").count(), 1);
    assert_eq!(env.ok(["list", "--all", "--json"]), "[]");
    env.wait_until_empty();
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/mcp-setup.md")).unwrap();
    assert!(own.iter().all(|name| page.contains(&format!("| `{name}` |"))), "{page}");

    let lines = ok(&env, &["--selftest"]);
    assert!(lines.starts_with("ok ") && lines.lines().count() == names.len(), "{lines}");
}

#[test]
fn steps_that_the_doctor_cannot_prove_now_are_degraded() {
    let env = TestEnv::new();
    env.ok(["config", "set", "max_running", "1"]);
    let running = env.ok(["run", "sleep", "1000"]);
    let ran = jobmcp(&env, &["doctor", "--json"]);
    assert_eq!((ran.code, result(&steps(&ran), "execute")), (Some(0), Some("degraded")), "{ran}");
    env.ok(["kill", &running]);
    assert_eq!(env.ok(["list", "--all", "--json"]).matches("job_id").count(), 1);
}

#[test]
fn the_doctor_names_the_step_that_fails() {
    let env = TestEnv::without_store();
    fs::create_dir(env.store()).unwrap();
    fs::write(env.store().join("letter"), "").unwrap();
    let ran = jobmcp(&env, &["doctor", "--json"]);
    assert_eq!((ran.code, result(&steps(&ran), "serve")), (Some(1), Some("failed")), "{ran}");
    assert!(ran.stderr.starts_with("error: `serve`, `store` failed: the server ended: "), "{ran}");
    assert!(ran.stderr.contains("neither empty nor a store"), "{ran}");
}

#[test]
fn the_doctor_fails_in_a_store_that_cannot_be_written() {
    let Some(unshare) = needs::namespaces() else { return };
    let env = TestEnv::new();
    env.ok(["list"]);
    let read_only = "mount --bind \"$JOBCORE_STORE\" \"$JOBCORE_STORE\" && \
                     mount -o remount,bind,ro \"$JOBCORE_STORE\" && exec \"$0\" doctor --json";
    let mut command = env.command(unshare[0]);
    command.args(&unshare[1..]).args(["sh", "-c", read_only, JOBMCP]);
    let ran = Ran::of(command);
    let found = steps(&ran);
    assert_eq!((ran.code, result(&found, "store")), (Some(1), Some("failed")), "{ran}");
    assert_ne!(result(&found, "execute"), Some("ok"), "{ran}");
    let mut look = env.command(JOBCLI);
    look.args(["list", "--all", "--json"]);
    assert_eq!(Ran::of(look).stdout, "[]\n");
}
