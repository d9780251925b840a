//! The pages form one book: its contents name each of them, no link is broken, and each block that can run is run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

/// The address of this repository's files on the web, for links to files that are not part of the book.
const REPOSITORY: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/");

/// Pages that are not in `docs/`.
const OTHERS: [&str; 4] = ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "jobmcp/README.md"];

/// The blocks of the pages that tests run, by page and by the text after the fence.
const RUN: [(&str, &str); 17] = [
    ("README.md", "sh tour"),
    ("docs/agents.md", "sh tour"),
    ("docs/builds.md", "sh tour"),
    ("docs/dev-servers.md", "sh tour"),
    ("docs/getting-started.md", "sh tour"),
    ("docs/mcp-setup.md", "text tour"),
    ("docs/migrating-mcp.md", "sh tour"),
    ("docs/migrating-mcp.md", "text tour"),
    ("docs/migrating.md", "sh example"),
    ("docs/migrating.md", "sh nq"),
    ("docs/migrating.md", "sh pueue"),
    ("docs/migrating.md", "sh tsp"),
    ("docs/notifications.md", "sh recipe"),
    ("docs/policy.md", "sh example"),
    ("docs/projects.md", "sh tour"),
    ("docs/queues.md", "sh tour"),
    ("docs/reading.md", "sh tour"),
];

struct Page {
    links: Vec<String>,
    anchors: BTreeSet<String>,
    fences: BTreeSet<String>,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// All pages by their paths below the root.
fn pages() -> BTreeMap<PathBuf, Page> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let docs = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let paths = docs.map(|path| path.strip_prefix(root()).unwrap().to_owned()).chain(OTHERS.map(PathBuf::from));
    paths.map(|path| (path.clone(), read(&std::fs::read_to_string(root().join(path)).unwrap()))).collect()
}

fn read(text: &str) -> Page {
    let mut page = Page { links: Vec::new(), anchors: BTreeSet::new(), fences: BTreeSet::new() };
    let mut heading = None::<String>;
    for event in Parser::new_ext(text, Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::End(TagEnd::Heading(_)) => {
                let anchor = anchor(&heading.take().unwrap());
                // The second heading of the same name is numbered.
                let numbered = (1..).map(|number| format!("{anchor}-{number}"));
                let free = std::iter::once(anchor.clone()).chain(numbered).find(|name| !page.anchors.contains(name));
                page.anchors.extend(free);
            }
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                page.links.push(dest_url.to_string());
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(words))) => {
                page.fences.insert(words.to_string());
            }
            _ => {}
        }
    }
    page
}

/// The anchor of a heading, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().replace(' ', "-");
    kept.chars().filter(|letter| letter.is_alphanumeric() || "-_".contains(*letter)).collect()
}

/// Returns what is wrong with a link of a page, if anything.
fn fault(pages: &BTreeMap<PathBuf, Page>, from: &Path, link: &str) -> Option<&'static str> {
    let is_external = link.contains("://");
    let (path, base) = match link.strip_prefix(REPOSITORY) {
        Some(path) => (path, Path::new("")),
        None if is_external => return (!is_address(link)).then_some("is no address"),
        None => (link, from.parent().unwrap()),
    };
    let (path, anchor) = path.split_once('#').map_or((path, None), |(path, anchor)| (path, Some(anchor)));
    let target = if path.is_empty() { root().join(from) } else { root().join(base).join(path) };
    let Ok(target) = target.canonicalize() else { return Some("leads nowhere") };
    let target = target.strip_prefix(root()).unwrap();
    if !is_external && from.starts_with("docs") && !target.starts_with("docs") {
        return Some("leads out of the book, where a reader of the book cannot follow");
    }
    let is_there = anchor.is_none_or(|anchor| pages.get(target).is_some_and(|page| page.anchors.contains(anchor)));
    (!is_there).then_some("names a heading that is not there")
}

/// Whether an address is well formed. CI may be offline, so no address is visited.
fn is_address(link: &str) -> bool {
    let host = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://")).unwrap_or("");
    let host = host.split(['/', '#', '?']).next().unwrap();
    host.contains('.') && !link.contains(char::is_whitespace)
}

#[test]
fn no_link_is_broken() {
    let pages = pages();
    let links = pages.iter().flat_map(|(path, page)| page.links.iter().map(move |link| (path, link)));
    let faults: Vec<_> = links
        .filter_map(|(path, link)| Some(format!("{}: `{link}` {}", path.display(), fault(&pages, path, link)?)))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn broken_links_are_found() {
    let page = read("# A b\n\n## A `b`\n\n[x](#y)\n\n```sh tour\n[not](a link)\n```\n");
    assert_eq!((page.links.as_slice(), page.anchors.len()), (["#y".to_owned()].as_slice(), 2));
    let pages = BTreeMap::from([(PathBuf::from("docs/cli.md"), page)]);
    let fault = |link: &str| fault(&pages, Path::new("docs/cli.md"), link).is_none();
    for good in ["#a-b", "#a-b-1", "cli.md#a-b", "book.toml", "https://a.example/b#c", &format!("{REPOSITORY}LICENSE")]
    {
        assert!(fault(good), "{good}");
    }
    for bad in ["#y", "cli.md#y", "nosuch.md", "../LICENSE", "https://", "https://a", &format!("{REPOSITORY}nosuch")] {
        assert!(!fault(bad), "{bad}");
    }
}

#[test]
fn the_contents_name_each_page_once() {
    let pages = pages();
    let contents = &pages[Path::new("docs/SUMMARY.md")];
    let mut named: Vec<_> = contents.links.iter().map(|link| Path::new("docs").join(link)).collect();
    named.sort();
    let there = pages.keys().filter(|path| path.starts_with("docs") && !path.ends_with("SUMMARY.md"));
    assert_eq!(named, there.cloned().collect::<Vec<_>>());
}

/// Blocks whose fences have a second word are to be run. Those of Rust are documentation tests in `.ci/outside-crate`.
#[test]
fn each_block_that_can_run_is_run() {
    let pages = pages();
    let marked =
        pages.iter().flat_map(|(path, page)| page.fences.iter().map(move |fence| (path.to_str().unwrap(), fence)));
    let marked: BTreeSet<_> =
        marked.filter(|(_, fence)| fence.contains(' ')).map(|(path, fence)| (path, &**fence)).collect();
    assert_eq!(marked, BTreeSet::from(RUN));
}

/// Nothing is fetched from elsewhere, and nothing reveals the machine on which they were made.
#[test]
fn pictures_are_small_and_show_anywhere() {
    for directory in ["docs", "docs/pictures"] {
        for entry in std::fs::read_dir(root().join(directory)).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.extension().is_none_or(|extension| extension != "svg") {
                continue;
            }
            let picture = std::fs::read_to_string(&entry).unwrap().replace("http://www.w3.org/2000/svg", "");
            assert!(picture.len() < 40_000, "{}: {} bytes", entry.display(), picture.len());
            for foreign in ["://", "<script", "@import", "@font-face", "/home/", "/root/", "/tmp/"] {
                assert!(!picture.contains(foreign), "{}: {foreign}", entry.display());
            }
        }
    }
}
