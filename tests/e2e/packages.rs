//! The packages agree on version, repository and name, each of which is written in many places.

use std::path::{Path, PathBuf};

use serde_json::Value;

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_package_has_the_version_of_the_workspace() {
    let server = json("jobmcp/server.json");
    let mut said: Vec<_> =
        server["packages"].as_array().unwrap().iter().map(|package| package["version"].clone()).collect();
    said.push(server["version"].clone());
    for manifest in ["jobmcp/npm/package.json", "jobmcp/npm/platform/package.json", "jobmcp/mcpb/manifest.json"] {
        said.push(json(manifest)["version"].clone());
    }
    said.extend(json("jobmcp/npm/package.json")["optionalDependencies"].as_object().unwrap().values().cloned());
    assert!(said.len() >= 8 && said.iter().all(|version| version == VERSION), "{said:?}");

    for (name, expected) in [
        ("jobmcp/pypi/pyproject.toml", format!("\nversion = \"{VERSION}\"\n")),
        ("jobcli/nfpm.yaml", format!("\nversion: {VERSION}\n")),
        ("jobcli/install.sh", format!("\nversion={VERSION}\n")),
        ("jobcli/jobcore.rb", format!("\n  version \"{VERSION}\"\n")),
    ] {
        assert!(text(name).contains(&expected), "{name} lacks {expected:?}");
    }
    let formula = text("jobcli/jobcore.rb");
    for arch in ["x86_64", "aarch64"] {
        let file = format!("/releases/download/v{VERSION}/jobcore-{VERSION}-{arch}-unknown-linux-gnu.tar.gz");
        assert!(formula.contains(&file), "the formula lacks {file}");
    }
}

#[test]
fn every_package_names_the_repository_of_the_workspace() {
    let repository = env!("CARGO_PKG_REPOSITORY");
    for name in [
        "jobcli/install.sh",
        "jobcli/jobcore.rb",
        "jobcli/nfpm.yaml",
        "jobmcp/Dockerfile",
        "jobmcp/README.md",
        "jobmcp/mcpb/manifest.json",
        "jobmcp/npm/package.json",
        "jobmcp/npm/platform/package.json",
        "jobmcp/pypi/pyproject.toml",
        "jobmcp/server.json",
    ] {
        assert!(text(name).contains(repository), "{name} lacks {repository}");
    }
}

/// The registry looks for the name in what npm, PyPI and image registries serve.
#[test]
fn every_package_has_the_name_in_the_mcp_registry() {
    let server = json("jobmcp/server.json");
    let name = server["name"].as_str().unwrap();
    assert_eq!(json("jobmcp/npm/package.json")["mcpName"], name);
    assert!(text("jobmcp/README.md").contains(&format!("<!-- mcp-name: {name} -->")));
    assert!(text("jobmcp/Dockerfile").contains(&format!("io.modelcontextprotocol.server.name=\"{name}\"")));
    assert!(server["description"].as_str().unwrap().len() <= 100, "the registry accepts no more");
}

#[test]
fn the_bundle_starts_the_program_that_is_in_it() {
    let server = json("jobmcp/mcpb/manifest.json")["server"].clone();
    assert_eq!(server["mcp_config"]["command"], "${__dirname}/bin/jobmcp");
    assert_eq!(server["entry_point"], "bin/jobmcp");
}
