//! Imports go one way: each module may use those below it, and none beside or above it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules from the bottom up. Those on one line do not use each other.
const LAYERS: &[&[&str]] = &[
    &["annotations", "clock", "escape", "parse_error", "words"],
    &["digest", "id", "key", "name", "signal", "units"],
    &["caller", "limit", "state"],
    &["error"],
    &["job_limits"],
    &["output", "sys"],
    &["environment", "queue", "until"],
    &["control", "spec"],
    &["attempt"],
    &["job", "life"],
    &["policy", "record"],
    &["program", "store"],
    &["agent"],
    &["shape"],
    &["supervisor", "template"],
    &["runner"],
    &["manager"],
    &["blocking", "doctor"],
    &["front"],
];

/// Modules for tests, which may use everything.
const FOR_TESTS: &[&str] = &["fuzzing", "generate", "testing"];

/// Files and folders of test modules.
const TEST_FILES: &[&str] = &["conformance", "fake", "invariants", "model", "properties", "tests"];

/// Files outside of `sys` that name rustix, nix or a system, and why: in what they ask of the kernel, only numbers
/// differ between systems.
const CALLS_THE_KERNEL: &[&str] = &[
    // The user's terminal: made raw, and restored.
    "jobcli/src/commands/attach.rs",
    // The `main` that the C library calls, whose arguments it has already passed to the standard library.
    "jobcli/src/main.rs",
    // The terminal of the full-screen view, and stopping as a shell does it.
    "jobcli/src/top/terminal.rs",
    // Error numbers for which `std::io::ErrorKind` has no stable name.
    "jobcore/src/error.rs",
    // Names and numbers of signals.
    "jobcore/src/signal.rs",
    // Flags of open(2): nothing that a read would block on is opened, and no link is followed.
    "jobcore/src/store/file/atomic.rs",
    // Where other programs keep their settings on each system.
    "jobmcp/src/register/clients.rs",
];

/// Where the library reads the machine's clock, and why; everything else is given the time.
const READS_THE_CLOCK: &[&str] = &[
    // The machine's clock itself.
    "clock.rs",
    // Its proofs use real jobs.
    "doctor",
    // Whether a job may be adopted does not depend on the time.
    "record.rs",
    // What happens to processes of this machine is recorded by its clock.
    "runner/in_process.rs",
    "supervisor",
    // A store goes by the real time, whatever clocks its users have, because others use it at the same time.
    "store",
    // It waits for the machine's clock.
    "sys/alarm.rs",
    // Compared with the age of a process.
    "sys/namespace.rs",
];

/// The folder that contains all crates of the workspace.
fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn sources(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let stem = path.file_stem().unwrap().to_str().unwrap();
        if TEST_FILES.contains(&stem) {
            continue;
        }
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Returns the code of a file without its comments and its test modules, which come last.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let inline = text.match_indices("#[cfg(test)]\n").find(|(at, _)| {
        let next = text[*at..].lines().nth(1).unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    text[..inline.map_or(text.len(), |(at, _)| at)]
        .lines()
        .map(|line| line.split("//").next().unwrap())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns the first words after `crate::`, including those of a list in braces.
fn imports(code: &str) -> BTreeSet<String> {
    let word = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    let mut found = BTreeSet::new();
    for (at, path) in code.match_indices("crate::") {
        let rest = &code[at + path.len()..];
        let Some(list) = rest.strip_prefix('{') else {
            found.insert(word(rest));
            continue;
        };
        let mut depth = 1;
        let mut items = String::new();
        for c in list.chars() {
            depth += i32::from(c == '{') - i32::from(c == '}');
            match depth {
                0 => break,
                1 => items.push(c),
                _ => {}
            }
        }
        found.extend(items.split(',').map(word).filter(|word| !word.is_empty()));
    }
    found
}

#[test]
fn imports_go_one_way() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let layer = |module: &str| LAYERS.iter().position(|layer| layer.contains(&module));
    let mut files = Vec::new();
    sources(&root, &mut files);
    assert!(files.len() > 100, "{} files", files.len());
    let mut upward = Vec::new();
    for file in files {
        let file = file.strip_prefix(&root).unwrap();
        let module = file.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if module == "lib" || FOR_TESTS.contains(&module) {
            continue;
        }
        let own = layer(module).unwrap_or_else(|| panic!("the module `{module}` is in no layer: add it to one"));
        for import in imports(&code(&root.join(file))) {
            // A name of the root may belong to anything: only modules that may use everything may use it.
            let is_of_root = own + 1 == LAYERS.len() && layer(&import).is_none();
            if import != module && !is_of_root && layer(&import).is_none_or(|other| other >= own) {
                upward.push(format!("{} -> {import}", file.display()));
            }
        }
    }
    upward.sort();
    assert!(upward.is_empty(), "not below the module that imports it:\n{}", upward.join("\n"));
}

#[test]
fn code_that_calls_the_kernel_is_in_sys() {
    let mut files = Vec::new();
    for package in ["jobcore", "jobcli", "jobmcp"] {
        sources(&workspace().join(package).join("src"), &mut files);
    }
    files.sort();
    let names_one = |path: &PathBuf| {
        let words = code(path);
        let mut words = words.split(|c: char| !c.is_alphanumeric() && c != '_');
        words.any(|word| matches!(word, "rustix" | "nix" | "libc" | "target_os"))
    };
    let named = files.iter().filter(|path| names_one(path)).map(|path| path.strip_prefix(workspace()).unwrap());
    let outside: Vec<_> = named.filter(|path| !path.starts_with("jobcore/src/sys")).collect();
    assert_eq!(outside, CALLS_THE_KERNEL.iter().map(Path::new).collect::<Vec<_>>());
}

/// A module: what it imports under which name, and the paths in its code.
struct Module {
    file: PathBuf,
    imports: BTreeMap<String, Vec<String>>,
    paths: Vec<Vec<String>>,
}

/// The modules of a crate by their paths.
type Modules = BTreeMap<Vec<String>, Module>;

fn modules(package: &str) -> Modules {
    let root = workspace().join(package).join("src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    let module = |file: PathBuf| {
        let path = file.strip_prefix(&root).unwrap().with_extension("");
        let mut path: Vec<_> = path.iter().map(|name| name.to_str().unwrap().to_owned()).collect();
        path.pop_if(|name| matches!(name.as_str(), "mod" | "lib"));
        (path, Module::read(&file))
    };
    files.into_iter().map(module).collect()
}

impl Module {
    fn read(file: &Path) -> Self {
        let code = code(file);
        let (mut imports, mut paths, mut rest) = (BTreeMap::new(), Vec::new(), String::new());
        let mut lines = code.lines();
        while let Some(line) = lines.next() {
            let Some((before, tree)) = line.split_once("use ").filter(|(before, _)| is_visibility(before.trim()))
            else {
                rest += line;
                rest += "\n";
                continue;
            };
            let mut tree = tree.to_owned();
            while !tree.ends_with(';') {
                tree += lines.next().unwrap().trim();
            }
            for (name, path) in leaves(tree.trim_end_matches(';')) {
                // What is only re-exported is looked up where it is used.
                if before.trim().is_empty() {
                    paths.push(path.clone());
                }
                imports.insert(name, path);
            }
        }
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        let words = rest.split(|c| !is_part(c)).filter(|word| word.contains("::"));
        paths.extend(words.map(|word| word.split("::").map(str::to_owned).collect::<Vec<_>>()));
        Self { file: file.strip_prefix(workspace()).unwrap().to_owned(), imports, paths }
    }
}

fn is_visibility(word: &str) -> bool {
    word.is_empty() || word.starts_with("pub") && !word.contains(' ')
}

/// Returns the names that the tree of a `use` brings in, each with its path.
fn leaves(tree: &str) -> Vec<(String, Vec<String>)> {
    let tree = tree.trim();
    if let Some((stem, list)) = tree.split_once('{') {
        let stem: Vec<_> = stem.split("::").map(str::trim).filter(|word| !word.is_empty()).map(str::to_owned).collect();
        let list = list.trim_end().strip_suffix('}').unwrap();
        let mut depth = 0;
        let items = list.split(|c| {
            depth += i32::from(c == '{') - i32::from(c == '}');
            c == ',' && depth == 0
        });
        let items = items.filter(|item| !item.trim().is_empty()).flat_map(leaves);
        return items
            .map(|(name, path)| match path.as_slice() {
                [own] if own == "self" => (stem.last().unwrap().clone(), stem.clone()),
                _ => (name, stem.iter().cloned().chain(path).collect()),
            })
            .collect();
    }
    let (path, name) =
        tree.split_once(" as ").map_or((tree, None), |(path, name)| (path, Some(name.trim().to_owned())));
    let path: Vec<_> = path.trim().split("::").map(str::to_owned).collect();
    vec![(name.unwrap_or_else(|| path.last().unwrap().clone()), path)]
}

/// Returns the file with the item that a path refers to in a module, following re-exports. Returns nothing for a module
/// itself, and for items of other crates.
fn file_of<'m>(modules: &'m Modules, from: &[String], path: &[String], patience: u32) -> Option<&'m Path> {
    let (first, rest) = path.split_first()?;
    let inner = |module: &[String], name: &String| {
        let inner = [module, std::slice::from_ref(name)].concat();
        modules.contains_key(&inner).then_some(inner)
    };
    let mut module = match first.as_str() {
        "crate" => Vec::new(),
        "self" => from.to_vec(),
        "super" => from.split_last()?.1.to_vec(),
        _ => match inner(from, first) {
            Some(inner) => inner,
            None => {
                let import = modules[from].imports.get(first).filter(|import| import[0] != *first && patience > 0)?;
                return file_of(modules, from, &[import, rest].concat(), patience - 1);
            }
        },
    };
    for next in rest {
        if next == "super" {
            module.pop();
        } else if let Some(inner) = inner(&module, next) {
            module = inner;
        } else {
            let there = &modules[&module];
            let handed_on = there.imports.get(next).filter(|_| patience > 0);
            return handed_on.and_then(|import| file_of(modules, &module, import, patience - 1)).or(Some(&there.file));
        }
    }
    None
}

/// Returns the cycles of more than two files, in which each file leads to every other.
fn circles(package: &str) -> Vec<String> {
    let modules = modules(package);
    let mut arrows: BTreeMap<&Path, BTreeSet<&Path>> = BTreeMap::new();
    for (path, module) in &modules {
        let found = module.paths.iter().filter_map(|used| file_of(&modules, path, used, 8));
        arrows.entry(&module.file).or_default().extend(found.filter(|file| *file != module.file));
    }
    let reached = |from: &Path| {
        let mut reached = BTreeSet::new();
        let mut next: Vec<&Path> = arrows[from].iter().copied().collect();
        while let Some(file) = next.pop() {
            if reached.insert(file) {
                next.extend(&arrows[file]);
            }
        }
        reached
    };
    let reached: BTreeMap<&Path, BTreeSet<&Path>> = arrows.keys().map(|file| (*file, reached(file))).collect();
    let circle = |file: &&Path| {
        let around = reached[file].iter().filter(|other| reached[**other].contains(*file));
        around.map(|file| file.display().to_string()).collect::<Vec<_>>()
    };
    let circles: BTreeSet<_> = reached.keys().map(circle).filter(|circle| circle.len() > 2).collect();
    circles.into_iter().map(|circle| circle.join(" ")).collect()
}

#[test]
fn no_cycle_has_more_than_two_files() {
    let found: Vec<_> = ["jobcore", "jobcli", "jobmcp"].into_iter().flat_map(circles).collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// Returns the folders of the packages that have a map, each with the file that contains it.
fn faces(directory: &Path, found: &mut Vec<(PathBuf, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            faces(&path, found);
        } else if path.ends_with("mod.rs") || path.ends_with("src/lib.rs") && !path.ends_with("jobcore/src/lib.rs") {
            found.push((directory.to_owned(), path));
        }
    }
}

#[test]
fn each_folder_has_a_map_of_its_files() {
    let mut folders = Vec::new();
    for package in ["jobcore", "jobcli", "jobmcp"] {
        faces(&workspace().join(package).join("src"), &mut folders);
    }
    assert!(folders.len() > 25, "{} folders", folders.len());
    for (folder, face) in folders {
        let there = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).filter(|path| *path != face);
        let name = |path: PathBuf| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_dir() { name + "/" } else { name }
        };
        let text = fs::read_to_string(&face).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("// - ")?.split(": ").next());
        let named = rows.flat_map(|names| names.split(", ")).map(|name| name.trim_matches('`').to_owned());
        assert_eq!(named.collect::<BTreeSet<_>>(), there.map(name).collect(), "{}", face.display());
    }
}

#[test]
fn a_path_leads_to_the_file_of_its_item() {
    let modules = modules("jobcore");
    let file = |from: &str, path: &str| {
        let words = |path: &str| path.split("::").map(str::to_owned).collect::<Vec<_>>();
        file_of(&modules, &words(from), &words(path), 8).map(|file| file.to_str().unwrap().to_owned())
    };
    assert_eq!(file("manager", "crate::record::ProcessId").as_deref(), Some("jobcore/src/sys/process.rs"));
    assert_eq!(file("runner::local", "crate::FileStore").as_deref(), Some("jobcore/src/store/file/mod.rs"));
    assert_eq!(file("supervisor::tree", "process::look").as_deref(), Some("jobcore/src/sys/process.rs"));
    assert_eq!(file("supervisor::run", "crate::sys"), None, "a module");
    assert_eq!(file("supervisor::run", "std::fs::File"), None, "of another crate");
    let tree = leaves("a::{b::{self, C as D}, e}");
    let tree: Vec<_> = tree.iter().map(|(name, path)| format!("{name}={}", path.join("::"))).collect();
    assert_eq!(tree, ["b=a::b", "D=a::b::C", "e=a::e"]);
}

#[test]
fn the_clock_is_passed_in() {
    let root = workspace().join("jobcore/src");
    let mut files = Vec::new();
    sources(&root, &mut files);
    files.retain(|file| code(file).contains("Timestamp::now()"));
    let mut places: Vec<_> = files.iter().map(|file| file.strip_prefix(&root).unwrap()).collect();
    places.retain(|file| !FOR_TESTS.iter().any(|name| file.with_extension("") == Path::new(name)));
    let (listed, others): (Vec<_>, Vec<_>) =
        places.into_iter().partition(|file| READS_THE_CLOCK.iter().any(|place| file.starts_with(place)));
    assert_eq!(others, Vec::<&Path>::new());
    for place in READS_THE_CLOCK {
        assert!(listed.iter().any(|file| file.starts_with(place)), "{place} no longer reads the clock");
    }
}

#[test]
fn the_imports_of_a_file_are_found() {
    let code = "use crate::error::Result;\nuse crate::{\n  id::{A, B},\n  spec,\n};\nfn f() { crate::sys::look() }";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["error", "id", "spec", "sys"]);
}
