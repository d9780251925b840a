//! Jobs by name and by key.

use crate::mcp_client::Client;
use crate::support::{Ran, TestEnv, wait_for};

#[test]
fn a_job_is_found_and_reported_by_its_name() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--name", "web", "sleep 1000"]);
    assert_eq!(env.status("web"), "running");
    assert_eq!(env.job("web")["job_id"], id.as_str());
    assert_eq!(env.job("web")["name"], "web");
    let table = env.ok(["list"]);
    assert!(table.starts_with("ID        NAME  STATUS"), "{table}");
    let listed: Vec<serde_json::Value> = serde_json::from_str(&env.ok(["list", "--json", "--name", "web"])).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(env.ok(["list", "--json", "--name", "other"]), "[]");
    let short = env.job(&id)["short_id"].as_str().unwrap().to_owned();
    assert_eq!(env.ok(["kill", "web"]), format!("web ({short}): killed"));
    assert_eq!(env.ok(["rm", "web"]), format!("web ({short}): removed"));
    assert_eq!(env.run(["status", "web"]).code, Some(3));
}

#[test]
fn a_name_is_unique_among_unfinished_jobs() {
    let env = TestEnv::new();
    let first = env.ok(["run", "--name", "web", "sleep 1000"]);
    let taken = env.run(["run", "--name", "web", "touch started"]);
    assert_eq!((taken.code, taken.stdout.as_str()), (Some(4), ""), "{taken}");
    assert!(taken.stderr.contains("the name `web` is taken by job"), "{taken}");
    env.ok(["kill", "web"]);
    let second = env.ok(["run", "--name", "web", "exit 5"]);
    assert_eq!(env.run(["wait", "web"]).code, Some(5), "the newest of the name");
    assert_ne!(first, second);
    env.ok(["rm", "web"]);
    assert_eq!(env.job("web")["job_id"], first.as_str(), "the earlier one is still on record");
    for wrong in ["", "../x", "a b", "-x", &first] {
        let ran = env.run(["run", &format!("--name={wrong}"), "true"]);
        assert_eq!(ran.code, Some(2), "{ran}");
    }
    assert!(!env.dir().join("started").exists());
}

/// Two projects have a server each, both called `web`. Inside a project the name means its own server, and elsewhere it
/// has to be made unambiguous.
#[test]
fn each_project_has_its_own_names() {
    let env = TestEnv::new();
    let run = |directory: &str, arguments: &[&str]| {
        let directory = env.dir().join(directory);
        std::fs::create_dir_all(&directory).unwrap();
        let mut command = env.jobcli(arguments);
        command.current_dir(directory);
        Ran::of(command)
    };
    let start = |directory: &str| run(directory, &["run", "--quiet", "--name", "web", "exec sleep 1000"]).ok();
    let id_in = |directory: &str| {
        let shown = run(directory, &["show", "--json", "web"]).ok();
        serde_json::from_str::<serde_json::Value>(&shown).unwrap()["job_id"].as_str().unwrap().to_owned()
    };
    let shop = start("shop");
    assert_eq!(id_in("blog"), shop, "no other job could be meant");
    let blog = start("blog");
    assert_eq!((id_in("shop"), id_in("blog")), (shop.clone(), blog.clone()));
    assert_eq!(run("blog", &["run", "--name", "web", "true"]).code, Some(4));
    let ambiguous = run("elsewhere", &["status", "web"]);
    assert_eq!(ambiguous.code, Some(3), "{ambiguous}");
    assert!(ambiguous.stderr.contains(&shop[24..32]) && ambiguous.stderr.contains(&blog[24..32]), "{ambiguous}");
    run("blog", &["kill", "web"]).ok();
    assert_eq!(env.status(&shop), "running");
    assert_eq!(id_in("blog"), blog, "a job that has ended here comes before one that runs elsewhere");
    assert!(run("blog", &["kill", "web"]).stdout.contains("already killed"), "and nothing else is stopped");
    assert_eq!(env.status(&shop), "running");
    run("elsewhere", &["kill", "web"]).ok();
    assert_eq!((id_in("shop"), id_in("blog")), (shop, blog));
}

/// Parts of one project have a server each, both called `web`: the hint for the second is not to stop the first.
#[test]
fn a_name_that_is_taken_elsewhere_is_no_reason_to_stop_that_job() {
    let env = TestEnv::new();
    std::fs::create_dir(env.dir().join(".git")).unwrap();
    std::fs::write(env.dir().join(".git/HEAD"), "ref: refs/heads/main\n").unwrap();
    for directory in ["shop", "blog"] {
        std::fs::create_dir(env.dir().join(directory)).unwrap();
    }
    let run = |directory: &str| {
        let mut command = env.jobcli(["run", "--name", "web", "sleep 1000"]);
        command.current_dir(env.dir().join(directory));
        Ran::of(command)
    };
    let id = run("shop").ok();
    let short = &id[24..32];
    let place = env.dir().join("shop");
    let what =
        format!("error: the name `web` is taken by job {short}, which has been running in `{}` for ", place.display());
    let here = run("shop");
    assert!(here.code == Some(4) && here.stderr.starts_with(&what), "{here}");
    assert!(here.stderr.contains(&format!("run `jobcli kill {short}` first")), "{here}");
    let elsewhere = run("blog");
    assert!(elsewhere.code == Some(4) && elsewhere.stderr.starts_with(&what), "{elsewhere}");
    assert!(elsewhere.stderr.contains("\nhint: use another name") && !elsewhere.stderr.contains("kill"), "{elsewhere}");
    let mut client = Client::legacy(&env);
    let mut refused = |directory: &str| {
        let cwd = env.dir().join(directory);
        client.call("execute", serde_json::json!({ "command": "true", "name": "web", "cwd": cwd })).text
    };
    let (here, elsewhere) = (refused("shop"), refused("blog"));
    assert!(here.contains(&what["error: ".len()..]) && here.contains("kill it first"), "{here}");
    assert!(elsewhere.contains(&what["error: ".len()..]) && !elsewhere.contains("kill"), "{elsewhere}");
    env.ok(["kill", "web"]);
}

/// A job whose name was like the short id of another used to be stopped in its place.
#[test]
fn a_name_that_could_be_a_short_id_is_refused() {
    let env = TestEnv::new();
    let first = env.submit("true");
    let short = env.job(&first)["short_id"].as_str().unwrap().to_owned();
    let refused = env.run(["run", "--name", &short, "true"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused}");
    assert!(refused.stderr.contains("could be taken for a job id"), "{refused}");
    for reference in [&short, &first, &first[24..]] {
        assert_eq!(env.job(reference)["job_id"], first.as_str());
    }
}

#[test]
fn a_key_makes_submitting_idempotent() {
    let env = TestEnv::new();
    let run = |key: &str, line: &str| env.run(["run", "--key", key, line]);
    let first = run("deploy 42/ä", "echo x >> ran");
    let again = run("deploy 42/ä", "echo x >> ran");
    assert_eq!((first.code, again.code), (Some(0), Some(0)), "{again}");
    assert_eq!(first.stdout, again.stdout);
    let id = first.stdout.trim_end();
    env.ok(["wait", id]);
    assert_eq!(run("deploy 42/ä", "echo x >> ran").stdout, first.stdout, "also after it has ended");
    let other = run("deploy 42/ä", "echo y >> ran");
    assert_eq!((other.code, other.stdout.as_str()), (Some(4), ""), "{other}");
    assert!(other.stderr.contains(&id[24..32]), "{other}");
    let elsewhere = env.run(["run", "--cwd", "/", "--key", "deploy 42/ä", "echo x >> ran"]);
    assert_eq!(elsewhere.code, Some(4), "{elsewhere}");
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
    env.ok(["rm", id]);
    let new = run("deploy 42/ä", "echo x >> ran");
    assert_ne!(new.stdout, first.stdout);
    env.ok(["wait", new.stdout.trim_end()]);
    assert_eq!(run(&"k".repeat(200), "true").code, Some(2));
}

#[test]
fn twenty_submitters_with_one_key_make_one_job() {
    let env = TestEnv::new();
    let submitters: Vec<_> = (0..20)
        .map(|_| {
            let command = env.jobcli(["run", "--key", "one", "echo x >> ran"]);
            std::thread::spawn(move || Ran::of(command))
        })
        .collect();
    let mut ids: Vec<_> = submitters
        .into_iter()
        .map(|submitter| {
            let ran = submitter.join().unwrap();
            assert_eq!(ran.code, Some(0), "{ran}");
            ran.stdout
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 1);
    env.ok(["wait", ids[0].trim_end()]);
    wait_for("the supervisor to be gone", || env.processes().is_empty().then_some(()));
    assert_eq!(std::fs::read_to_string(env.dir().join("ran")).unwrap(), "x\n");
}

/// Any part of the beginning or the end is enough if no other job has it, in the forms that people copy.
#[test]
fn a_job_is_found_by_a_part_of_its_id() {
    let env = TestEnv::new();
    let id = env.submit("true");
    let simple = id.replace('-', "");
    let long = id.to_uppercase();
    for part in [&id[24..28], &id[24..32], &id[24..], &id[32..], &id[..4], &id[..18], &simple, &simple[..9], &long] {
        assert_eq!(env.job(part)["job_id"], id.as_str(), "{part}");
    }
    for part in [&id[..3], &id[33..], &id[25..32], &simple[12..28]] {
        let ran = env.run(["show", part]);
        assert_eq!(ran.code, Some(3), "{part}: {ran}");
    }
    // Jobs submitted at about the same time have the same beginning: neither is taken.
    let other = env.submit("sleep 1000");
    let ran = env.run(["kill", &id[..5]]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(3), ""), "{ran}");
    assert!(ran.stderr.contains(&id[24..]) && ran.stderr.contains(&other[24..]), "{ran}");
    assert_eq!(env.status(&other), "running");
}

#[test]
fn similar_names_and_ids_are_suggested() {
    let env = TestEnv::new();
    let id = env.ok(["run", "--name", "web-server", "true"]);
    env.submit("true");
    let short = &id[24..32];
    let slip = format!("{}{}", &short[..7], if short.ends_with('0') { '1' } else { '0' });
    for (reference, meant) in [("web-sevrer", "web-server"), ("web", "web-server"), (&slip, short)] {
        for verb in ["status", "kill", "output", "wait"] {
            let ran = env.run([verb, reference]);
            assert_eq!(ran.code, Some(if verb == "wait" { 125 } else { 3 }), "{ran}");
            assert!(ran.stderr.contains(&format!("did you mean `{meant}`")), "{verb} {reference}: {ran}");
        }
    }
    let ran = env.run(["status", "database"]);
    assert!(ran.code == Some(3) && !ran.stderr.contains("did you mean"), "{ran}");
}
