//! Realistic files: whatever is not ours is kept.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use clap::ValueEnum;
use serde_json::Value;
use test_case::test_case;

use super::*;

const COMMAND: &str = "/opt/bin/jobmcp";

fn put(client: Client, text: &str) -> std::result::Result<String, String> {
    client.slot("jobs").put(text, &client.entry(COMMAND, &["--store".to_owned(), "/s".to_owned()]))
}

/// Registers, registers again and unregisters, which must restore the original text.
fn there_and_back(client: Client, before: &str) -> String {
    let after = put(client, before).unwrap();
    let entry = client.slot("jobs").get(&after).unwrap().unwrap();
    let expected = match client {
        Client::Opencode => (serde_json::json!([COMMAND, "--store", "/s"]), Value::Null),
        _ => (COMMAND.into(), serde_json::json!(["--store", "/s"])),
    };
    assert_eq!((&entry["command"], &entry["args"]), (&expected.0, &expected.1), "{after}");
    assert_eq!(put(client, &after).unwrap(), after, "the second time changes nothing");
    assert_eq!(client.slot("jobs").take(&after).unwrap(), before);
    after
}

const WITH_OTHERS: &str = "{\n  \"theme\": \"dark\",\n  \"mcpServers\": {\n    \"db\": {\n      \"command\": \"db\"\n    }\n  },\n  \"n\": 1\n}\n";
const WITHOUT_SERVERS: &str = "{\n\t\"theme\": \"dark\"\n}";

#[test_case(WITH_OTHERS)]
#[test_case(WITHOUT_SERVERS; "indented with tabs, no line end at the end")]
fn other_servers_and_settings_are_kept(before: &str) {
    for client in [
        Client::ClaudeCode,
        Client::ClaudeDesktop,
        Client::Cline,
        Client::CopilotCli,
        Client::Cursor,
        Client::GeminiCli,
        Client::Windsurf,
    ] {
        let after = there_and_back(client, before);
        let is_kept = |line: &str| after.lines().any(|kept| kept.trim_end_matches(',') == line.trim_end_matches(','));
        assert!(before.lines().all(is_kept), "{after}");
        let crlf = before.replace('\n', "\r\n");
        assert_eq!(there_and_back(client, &crlf), after.replace('\n', "\r\n"), "line ends stay");
        assert_eq!(there_and_back(client, &format!("\u{feff}{before}")), format!("\u{feff}{after}"), "so does a mark");
    }
}

#[test]
fn comments_are_kept_in_formats_with_comments() {
    let before = "// mine\n{\n  // all of them\n  \"servers\": {\n    /* the first */\n    \"db\": { \"command\": \"db\" }, // local\n  },\n  \"inputs\": [], // none\n}\n";
    let others = before.replace("servers", "mcp");
    there_and_back(Client::Opencode, &others);
    there_and_back(Client::Zed, &before.replace("servers", "context_servers"));
    let after = there_and_back(Client::Vscode, before);
    for comment in ["// mine", "// all of them", "/* the first */", "// local", "// none"] {
        assert_eq!(after.matches(comment).count(), 1, "{after}");
    }
    let refused = put(Client::ClaudeDesktop, before).unwrap_err();
    assert!(refused.contains("line 1"), "a client that knows no comments cannot read this: {refused}");
}

const TOML: &str = "# mine\nmodel = \"x\" # a good one\n\n[mcp_servers.db] # local\ncommand   = 'db'\n\n[mcp_servers.db.env]\nA = \"1\"\n\n[profiles.a]\nmodel = \"y\"\n";

#[test_case(TOML)]
#[test_case("model = 'x'\n"; "no servers")]
#[test_case("[profiles.a]\nmodel = 'x'\n# the end\n"; "a comment at the end")]
#[test_case("mcp_servers.db = { command = 'db' } # short\n"; "dotted")]
#[test_case("mcp_servers = { db = { command = 'db' } }\n"; "in a line")]
fn toml_is_otherwise_unchanged(before: &str) {
    let after = there_and_back(Client::Codex, before);
    for line in before.lines().filter(|line| !line.starts_with("mcp_servers =")) {
        assert!(after.lines().any(|kept| kept == line), "{line} is missing in\n{after}");
    }
    assert!(after.contains("tool_timeout_sec = 120"), "{after}");
    assert_eq!(there_and_back(Client::Codex, &before.replace('\n', "\r\n")), after.replace('\n', "\r\n"));
}

#[test]
fn an_empty_file_is_accepted() {
    for client in Client::value_variants() {
        let whole = put(*client, "").unwrap();
        for blank in ["\n", "\u{feff}", "  "] {
            let written = put(*client, blank).unwrap();
            assert_eq!(written.trim_start_matches(['\u{feff}', '\n', ' ']).trim_end(), whole.trim_end(), "{blank:?}");
        }
        assert!(client.slot("jobs").get(&whole).unwrap().is_some());
        assert!(client.slot("jobs").get(&client.slot("jobs").take(&whole).unwrap()).unwrap().is_none());
    }
}

#[test]
fn fields_added_to_the_entry_are_kept() {
    let json = "{\n  \"mcpServers\": {\n    \"jobs\": {\n      \"command\": \"/old/jobmcp\",\n      \"env\": { \"A\": \"1\" }\n    }\n  }\n}\n";
    let after = put(Client::Cursor, json).unwrap();
    assert!(
        after.contains("\"env\": { \"A\": \"1\" }") && after.contains(COMMAND) && !after.contains("/old"),
        "{after}"
    );
    let toml = "[mcp_servers.jobs]\ncommand = \"/old/jobmcp\" # mine\ntool_timeout_sec = 300\nenabled = false\n";
    let after = put(Client::Codex, toml).unwrap();
    assert!(after.contains("tool_timeout_sec = 300\nenabled = false") && after.contains("jobmcp\" # mine"), "{after}");
    assert!(after.contains(COMMAND) && after.contains("startup_timeout_sec"), "{after}");
}

#[test]
fn invalid_files_are_refused() {
    for text in [
        "{",
        "[]",
        "7",
        "{\"mcpServers\": []}",
        "{\"mcpServers\": {\"jobs\": 1}}",
        "{\"a\": 1,}",
        "{} {}",
        "{'a': 1}",
        "{\"mcpServers\": {}, \"mcpServers\": {}}",
        "nonsense",
        "{\"mcpServers\": null}",
    ] {
        let refused = put(Client::ClaudeCode, text);
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
    for text in ["a =", "mcp_servers = 1", "a = 1\na = 2", "[mcp_servers]\njobs = 1", "[[mcp_servers]]\na = 1"] {
        let refused = put(Client::Codex, text);
        assert!(refused.is_err(), "{text}: {refused:?}");
    }
}

#[test]
fn a_file_keeps_its_mode_and_its_symbolic_links() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (directory.path().join("file"), directory.path().join("link"));
    fs::write(&file, "before").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("file", &link).unwrap();
    let read = Configuration::read(link.clone()).unwrap();
    let backup = read.replace("after").unwrap().unwrap();
    assert!(link.is_symlink());
    assert_eq!(
        (fs::read_to_string(&file).unwrap(), fs::read_to_string(&backup).unwrap()),
        ("after".into(), "before".into())
    );
    for path in [&file, &backup] {
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, 0o640, "{}", path.display());
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 3, "nothing else is left");
}

#[test]
fn a_file_changed_meanwhile_is_not_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let (file, missing) = (directory.path().join("file"), directory.path().join("a/b/missing"));
    fs::write(&file, "before").unwrap();
    let read = Configuration::read(file.clone()).unwrap();
    fs::write(&file, "theirs").unwrap();
    assert!(format!("{:?}", read.replace("ours").unwrap_err()).contains("run this again"));
    assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    let read = Configuration::read(missing.clone()).unwrap();
    assert_eq!(read.replace("ours").unwrap(), None, "there was nothing to back up");
    assert_eq!(fs::read_to_string(&missing).unwrap(), "ours");
}

#[test]
fn files_that_are_not_text_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("binary"), [0xff, 0xfe]).unwrap();
    symlink("nowhere", at("dangling")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    for name in ["binary", "dangling", "directory"] {
        assert!(Configuration::read(at(name)).is_err(), "{name}");
    }
}
