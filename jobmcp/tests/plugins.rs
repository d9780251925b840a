//! The plugins of this package have its version and the skill that it serves.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn all_plugins_ship_the_same() {
    let plugins = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins");
    let (mut skills, mut manifests) = (0, 0);
    for path in files(&plugins) {
        let text = fs::read_to_string(&path).unwrap();
        match path.file_name().unwrap().to_str().unwrap() {
            "SKILL.md" => {
                assert_eq!(text, jobcore::front::SKILL, "{}", path.display());
                skills += 1;
            }
            "jobcore.js" => assert!(text.contains("spawn(\"jobcli\", [\"hook\", \"opencode\", \"stop\"]")),
            name => {
                let said: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                if ["plugin.json", "gemini-extension.json"].contains(&name) {
                    assert_eq!(said["version"], env!("CARGO_PKG_VERSION"), "{}", path.display());
                    manifests += 1;
                }
                if let Some(servers) = said.get("mcpServers").filter(|servers| servers.is_object()) {
                    assert_eq!(servers["jobs"]["command"], "jobmcp", "{}", path.display());
                }
            }
        }
    }
    assert_eq!((skills, manifests), (4, 4));
}
