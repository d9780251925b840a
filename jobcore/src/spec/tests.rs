use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use super::*;
use crate::environment::Environment;
use crate::sys::process::ProcessId;

fn refusal(builder: JobSpecBuilder) -> String {
    builder.build().unwrap_err().to_string()
}

#[test]
fn an_annotation_cannot_take_the_place_of_a_field() {
    for field in ["cwd", "timeout_ms", "name", "ends_with"] {
        let refused = refusal(JobSpec::shell("x").annotation(field, &7).annotation("mine", &true));
        assert!(
            refused.starts_with("annotations: the record already has a field with one of these names: `"),
            "{refused}"
        );
    }
    let spec = JobSpec::shell("x").annotation("mine", &0.1).build().unwrap();
    let record = serde_json::to_string(&spec).unwrap();
    assert!(record.contains(r#""mine":0.1"#), "{record}");
    assert_eq!(serde_json::from_str::<JobSpec>(&record).unwrap().annotations, spec.annotations);
}

#[test]
fn invalid_fields_are_refused_by_name() {
    assert_eq!(refusal(JobSpec::shell("  \n")), "command: the shell line is empty");
    assert_eq!(refusal(JobSpec::command(Vec::<String>::new())), "argv: there is no program to run");
    assert_eq!(refusal(JobSpec::command(["", "x"])), "argv: there is no program to run");
    assert_eq!(refusal(JobSpec::command(["a", "b\0c"])), "argv: a NUL byte cannot be passed to a program");
    assert!(refusal(JobSpec::shell("x".repeat(2 << 20))).contains("2097152 bytes in one argument"));
    assert_eq!(refusal(JobSpec::shell("x").cwd("relative")), "cwd: `relative` is not an absolute path");
    assert_eq!(
        refusal(JobSpec::shell("x").with_shell("bash 'a")),
        "shell: `bash 'a` has an unterminated quote or backslash"
    );
    for empty in ["", " ", "'' -l"] {
        assert!(refusal(JobSpec::shell("x").with_shell(empty)).starts_with("shell: there is no program"));
    }
    assert!(refusal(JobSpec::shell("x").timeout(Duration::ZERO)).starts_with("timeout: 0"));
    assert!(refusal(JobSpec::shell("x").timeout(Duration::MAX)).starts_with("timeout: more than ten years"));
    assert!(refusal(JobSpec::shell("x").output_limit(1)).starts_with("output limit: at least 4096"));
    assert!(refusal(JobSpec::shell("x").label("", "y")).starts_with("labels"));
    let nobody = ProcessId { pid: 0, ..ProcessId::of_this_program().unwrap() };
    assert!(refusal(JobSpec::shell("x").ends_with(nobody)).starts_with("ends_with: 0 of boot"));
    assert!(refusal(JobSpec::shell("x").env("a=b", "y")).starts_with("environment: `a=b`"));
}

/// Regression: a job with such a name was stopped when another job was meant by its short id.
#[test]
fn a_name_that_looks_like_an_id_is_refused_but_read_back() {
    for name in ["cafe", "deadbeef", "0123-4567", "2026"] {
        let spec = JobSpec::shell("x").name(name.parse().unwrap());
        assert!(refusal(spec.clone()).starts_with(&format!("name: `{name}` could be taken for a job id")), "{name}");
        let json = serde_json::to_string(&spec.spec).unwrap();
        assert_eq!(
            serde_json::from_str::<JobSpec>(&json).unwrap().name,
            spec.spec.name,
            "older stores may have such jobs"
        );
    }
    JobSpec::shell("x").name("cafe.1".parse().unwrap()).build().unwrap();
}

#[test]
fn a_short_duration_is_not_rounded_to_zero() {
    let spec = JobSpec::shell("x").timeout(Duration::from_nanos(1)).build().unwrap();
    assert_eq!(spec.timeout(), Some(Duration::from_millis(1)));
}

#[test]
fn an_environment_survives_its_bytes_and_is_never_printed() {
    let environment: Environment =
        [("A", OsString::from("x=y")), ("=B", "".into()), ("S", OsStr::from_bytes(b"\xff").to_owned())]
            .into_iter()
            .collect();
    assert_eq!(Environment::from_bytes(&environment.to_bytes()), environment);
    assert_eq!(format!("{environment:?}"), "Environment(3 variables)");
    let spec = JobSpec::shell("x").environment(environment).build().unwrap();
    assert!(!serde_json::to_string(&spec).unwrap().contains("x=y"));
}
