//! Git worktrees of agent runs: made for one run, and never lost with what is in them.

use std::process::Stdio;

use crate::delegate::Agents;
use crate::support::script;

#[test]
fn agents_in_worktrees_do_not_step_on_each_other() {
    let agents = Agents::new();
    let repository = agents.repository();
    let sub = repository.join("sub");
    let mut running = Vec::new();
    for index in 0..4 {
        let name = format!("job-{index}");
        let words = ["delegate", "--wait", "--worktree", "--name", &name, "--cwd", sub.to_str().unwrap(), "commit"];
        let mut command = agents.command(words);
        running.push(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    }
    for (index, child) in running.into_iter().enumerate() {
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(0), "{told}");
        let id = told.lines().find_map(|line| line.strip_prefix("job ")).unwrap();
        let worktree = agents.env.dir().join(format!("repository-worktrees/job-{index}"));
        assert!(told.contains(&format!("worktree {}, branch jobcore/job-{index}\n", worktree.display())), "{told}");
        assert_eq!(agents.record(id, "cwd").trim(), worktree.join("sub").to_str().unwrap());
        assert_eq!(std::fs::read_to_string(worktree.join("sub/work.txt")).unwrap().trim(), id);
        let log = agents.git(&repository, &["log", "--format=%s", &format!("jobcore/job-{index}")]);
        assert_eq!(log, "work\nfirst");
        assert_eq!(agents.spec(id)["agent"]["worktree"]["branch"], format!("jobcore/job-{index}"));
    }
    assert_eq!(agents.git(&repository, &["status", "--porcelain"]), "");
    assert_eq!(agents.git(&repository, &["log", "--format=%s"]), "first");
}

#[test]
fn a_worktree_is_removed_if_nothing_is_lost_with_it() {
    let agents = Agents::new();
    let repository = agents.repository();
    let delegate = |name: &str, prompt: &str| agents.worktree(&repository, name, prompt);
    let worktree = delegate("a", "commit");
    std::fs::write(worktree.join("more"), "x").unwrap();
    let refused = agents.run(["rm", "--worktree", "a"]);
    assert_eq!(refused.code, Some(4), "{refused}");
    for expected in
        ["1 uncommitted change and 1 commit that no other branch has", "`jobcli rm --worktree --force a`", "jobcore/a"]
    {
        assert!(refused.stderr.contains(expected), "{expected}:\n{refused}");
    }
    std::fs::remove_file(worktree.join("more")).unwrap();
    agents.git(&repository, &["merge", "--quiet", "jobcore/a"]);
    agents.ok(["rm", "--worktree", "a"]);
    assert!(!worktree.exists());
    assert_eq!(agents.run(["status", "a"]).code, Some(3));
    // A second worktree of the name does not get in the way of the first, which stays with its branch.
    let first = delegate("b", "commit");
    let kept = agents.run(["rm", "b"]);
    assert!(kept.stderr.contains(&format!("its worktree is kept: {}, branch jobcore/b", first.display())), "{kept}");
    let ran =
        agents.run(["delegate", "--wait", "--worktree", "--name", "b", "--cwd", repository.to_str().unwrap(), "x"]);
    assert!(ran.stderr.contains("repository-worktrees/b-"), "{ran}");
    agents.ok(["rm", "--worktree", "b"]);
    assert!(first.join("work.txt").exists());
    // Removed with everything that is lost; with a commit on no branch, too.
    let third = delegate("c", "x");
    agents.git(&third, &["checkout", "--quiet", "--detach"]);
    agents.git(&third, &["commit", "--quiet", "--allow-empty", "-m", "loose"]);
    assert_eq!(agents.run(["rm", "--worktree", "c"]).code, Some(4));
    let user = agents.ok(["run", "--name", "user", "--cwd", third.to_str().unwrap(), "sleep 1000"]);
    let used = agents.run(["rm", "--worktree", "c"]).stderr;
    assert!(used.contains("is running in its worktree") && !used.contains("--force"), "{used}");
    agents.ok(["kill", &user]);
    agents.ok(["rm", "--worktree", "--force", "c"]);
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*", "--format=%(refname:short)"]), "jobcore/b");
    agents.ok(["run", "--wait", "--name", "plain", "true"]);
    assert!(agents.run(["rm", "--worktree", "plain"]).stderr.contains("no worktree was made for it"));
}

#[test]
fn no_worktree_is_left_of_a_refused_run() {
    let agents = Agents::new();
    let repository = agents.repository();
    let path = repository.to_str().unwrap();
    agents.refused(agents.command(["delegate", "--worktree", "x"]), 1, "not a git repository");
    agents.ok(["run", "--key", "taken", "sleep 1000"]);
    let delegate = |more: &[&'static str]| {
        agents.command(["delegate", "--worktree", "--cwd", path].into_iter().chain(more.iter().copied()).chain(["x"]))
    };
    agents.refused(delegate(&["--key", "taken"]), 4, "the key `taken` belongs to job");
    agents.refused(delegate(&["--max-turns", "0"]), 2, "max turns");
    agents.git(&repository, &["branch", "mine"]);
    let branch = agents.command(["delegate", "--worktree=mine", "--cwd", path, "x"]);
    agents.refused(branch, 1, "a branch named `mine` already exists");
    std::fs::create_dir(repository.join("new")).unwrap();
    let new = repository.join("new");
    agents.refused(
        agents.command(["delegate", "--worktree", "--cwd", new.to_str().unwrap(), "x"]),
        1,
        "it is not part of the commit",
    );
    assert_eq!(agents.git(&repository, &["worktree", "list"]).lines().count(), 1);
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*"]), "");
    assert!(!agents.env.dir().join("repository-worktrees").exists());
    let ran = agents.run(["delegate", "--wait", "--worktree=feature/x", "--cwd", path, "x"]);
    assert!(ran.stderr.contains("repository-worktrees/feature-x, branch feature/x"), "{ran}");
}

/// The files that an agent left in its worktree are looked at without running any of them.
#[test]
fn a_planted_repository_in_a_worktree_is_refused() {
    let agents = Agents::new();
    let repository = agents.repository();
    let worktree = agents.worktree(&repository, "a", "x");
    let evil = worktree.join("evil");
    let traces = agents.env.dir().join("traces");
    std::fs::create_dir(&evil).unwrap();
    agents.git(&evil, &["init", "--quiet", "--bare", "."]);
    let monitor = agents.env.dir().join("bin/monitor");
    script(&monitor, &format!("#!/bin/sh\ntouch {}\n", traces.display()));
    agents.git(&evil, &["config", "core.bare", "false"]);
    agents.git(&evil, &["config", "core.fsmonitor", monitor.to_str().unwrap()]);
    let honest = std::fs::read(worktree.join(".git")).unwrap();
    std::fs::write(worktree.join(".git"), "gitdir: ./evil\n").unwrap();
    for words in [&["rm", "--worktree", "a"][..], &["rm", "--worktree", "--force", "a"]] {
        let ran = agents.run(words.iter().copied());
        assert!(ran.code == Some(1) && ran.stderr.contains(".git` is not what git created there"), "{ran}");
        assert!(!ran.stderr.contains("removes it anyway"), "{ran}");
    }
    assert!(!traces.exists() && evil.exists());
    // The configuration of the repository may name files in the worktree.
    std::fs::write(worktree.join(".git"), honest).unwrap();
    agents.git(&repository, &["config", "core.fsmonitor", "./monitor"]);
    std::fs::rename(&monitor, worktree.join("monitor")).unwrap();
    let ran = agents.run(["rm", "--worktree", "a"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("2 uncommitted changes"), "{ran}");
    agents.ok(["rm", "--worktree", "--force", "a"]);
    assert!(!traces.exists() && !worktree.exists());
}

/// Whatever git is configured to show, and whatever else has the branch's name.
#[test]
fn no_change_in_a_worktree_is_overlooked() {
    let agents = Agents::new();
    let repository = agents.repository();
    agents.git(&repository, &["config", "status.showUntrackedFiles", "no"]);
    let worktree = agents.worktree(&repository, "a", "x");
    std::fs::write(worktree.join("new"), "x").unwrap();
    let ran = agents.run(["rm", "--worktree", "a"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 uncommitted change\n"), "{ran}");
    std::fs::remove_file(worktree.join("new")).unwrap();
    let other = agents.worktree(&repository, "b", "commit");
    agents.git(&repository, &["tag", "jobcore/b", "HEAD"]);
    std::fs::create_dir_all(repository.join("jobcore/b")).unwrap();
    agents.git(&other, &["checkout", "--quiet", "--detach", "HEAD~1"]);
    let ran = agents.run(["rm", "--worktree", "b"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 commit that no other branch has\n"), "{ran}");
    agents.ok(["rm", "--worktree", "a"]);
    // The printed command is a single command, whatever the path.
    let spaced = agents.env.dir().join("my repository");
    std::fs::rename(&repository, &spaced).unwrap();
    agents.done(["delegate", "--wait", "--worktree", "--name", "d", "--cwd", spaced.to_str().unwrap(), "x"]);
    let left = agents.env.dir().join("my repository-worktrees/d");
    let told = format!("`git -C '{}' worktree remove '{}'` removes it", spaced.display(), left.display());
    let ran = agents.run(["rm", "d"]);
    assert!(ran.stderr.contains(&told), "{ran}");
    std::fs::rename(&spaced, &repository).unwrap();
    // The contents of a submodule would be removed with it.
    let part = agents.git(&repository, &["rev-parse", "HEAD"]);
    agents.git(&repository, &["update-index", "--add", "--cacheinfo", &format!("160000,{part},part")]);
    agents.git(&repository, &["commit", "--quiet", "-m", "part"]);
    let third = agents.worktree(&repository, "c", "x");
    agents.git(&third, &["clone", "--quiet", repository.to_str().unwrap(), "part"]);
    agents.git(&third.join("part"), &["checkout", "--quiet", &part]);
    let ran = agents.run(["rm", "--worktree", "c"]);
    assert!(ran.code == Some(4) && ran.stderr.contains("has 1 submodule with files\n"), "{ran}");
}

#[test]
fn a_worktree_without_its_repository_is_reported() {
    let agents = Agents::new();
    let repository = agents.repository();
    let worktree = agents.worktree(&repository, "a", "x");
    let elsewhere = agents.env.dir().join("elsewhere");
    std::fs::rename(&repository, &elsewhere).unwrap();
    for words in [&["rm", "--worktree", "a"][..], &["rm", "--worktree", "--force", "a"]] {
        let ran = agents.run(words.iter().copied());
        let expected = format!("remove the worktree `{}` yourself", worktree.display());
        assert!(ran.code == Some(1) && ran.stderr.contains(&expected), "{ran}");
    }
    std::fs::remove_dir_all(&worktree).unwrap();
    agents.ok(["rm", "--worktree", "a"]);
}

#[test]
fn no_worktree_is_left_if_a_hook_fails() {
    let agents = Agents::new();
    let repository = agents.repository();
    script(&repository.join(".git/hooks/post-checkout"), "#!/bin/sh\necho no such tool >&2\nexit 1\n");
    let delegate = ["delegate", "--worktree", "--name", "a", "--cwd", repository.to_str().unwrap(), "x"];
    agents.refused(agents.command(delegate), 1, "failed in the new worktree: no such tool");
    assert!(!agents.env.dir().join("repository-worktrees").exists());
    assert_eq!(agents.git(&repository, &["branch", "--list", "jobcore/*"]), "");
}

#[test]
fn a_worktree_of_a_submodule_is_next_to_it() {
    let agents = Agents::new();
    let repository = agents.repository();
    let outer = agents.env.dir().join("outer");
    std::fs::create_dir(&outer).unwrap();
    agents.git(&outer, &["init", "--quiet"]);
    let path = repository.to_str().unwrap();
    agents.git(&outer, &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", path, "part"]);
    let worktree = outer.join("part-worktrees/a");
    let part = outer.join("part");
    agents.done(["delegate", "--wait", "--worktree", "--name", "a", "--cwd", part.to_str().unwrap(), "x"]);
    assert!(worktree.join("sub/file").exists());
    agents.ok(["rm", "--worktree", "a"]);
    assert!(!worktree.exists());
}

/// Reported in words that fit, without git's own hints.
#[test]
fn a_branch_that_no_worktree_can_have_is_refused() {
    let agents = Agents::new();
    let repository = agents.repository();
    let path = repository.to_str().unwrap();
    for word in ["-x", "@", "a..b", "a.lock", "HEAD"] {
        let delegate = ["delegate", &format!("--worktree={word}"), "--cwd", path, "x"];
        agents.refused(agents.command(delegate), 2, &format!("`{word}` is not a valid branch name"));
    }
    let named = ["delegate", "--worktree", "--name", "a..b", "--cwd", path, "x"];
    agents.refused(
        agents.command(named),
        2,
        "`jobcore/a..b` is not a valid branch name; choose another with `--worktree=BRANCH`",
    );
    agents.git(&repository, &["branch", "jobcore"]);
    let blocked = ["delegate", "--worktree", "--name", "a", "--cwd", path, "x"];
    agents.refused(agents.command(blocked), 1, "branch `jobcore/a` conflicts with the existing branch `jobcore`");
    agents.git(&repository, &["branch", "deep/er"]);
    let blocked_below = ["delegate", "--worktree=deep", "--cwd", path, "x"];
    agents.refused(agents.command(blocked_below), 1, "branch `deep` conflicts with the existing branch `deep/er`");
    let mut without_git = agents.command(blocked);
    without_git.env("PATH", agents.env.dir().join("bin"));
    agents.refused(without_git, 1, "git: it is not in `PATH`");
    let empty = agents.env.dir().join("work");
    agents.git(&empty, &["init", "--quiet"]);
    agents.refused(agents.command(["delegate", "--worktree", "x"]), 1, "the repository has no commit yet");
}
