//! What systemd does to jobs when the unit of this program ends, and when its user logs out.
//!
//! A supervisor leaves the session of its caller, but a process cannot leave its cgroup by itself.

use std::collections::BTreeMap;

use super::machine::Machine;
use super::report::{Doubt, Finding, Report};

const RUN_OUTSIDE: &str = "start the program that submits jobs with `systemd-run --user --scope`";

pub(super) fn examine(machine: &Machine, report: &mut Report) {
    let place = Place::parse(&machine.read("proc/self/cgroup").unwrap_or_default());
    let user = machine.user_name();
    if let Some(finding) = unit(&place) {
        report.add("unit", finding);
    }
    let lingers = user.as_ref().map(|user| machine.path("var/lib/systemd/linger").join(user).exists());
    let logind = Logind::read(machine);
    if let Some(finding) = logout(&place, logind.as_ref(), user.as_deref(), lingers) {
        report.add("logout", finding);
    }
}

/// The place of a process in the tree of units.
#[derive(Debug, PartialEq)]
struct Place {
    /// The innermost unit.
    unit: Option<String>,
    /// Whether that unit belongs to the user's own manager, or is the manager itself.
    in_user_manager: bool,
}

impl Place {
    /// Reads `/proc/PID/cgroup`, cgroups(7).
    fn parse(text: &str) -> Self {
        let path = |line: &str| line.splitn(3, ':').nth(2).map(str::to_owned);
        let line = |kind: &str| text.lines().find(|line| line.split(':').nth(1) == Some(kind)).and_then(path);
        // With version 1, systemd has its own hierarchy; otherwise this is version 2.
        let path = line("name=systemd").filter(|path| path != "/").or_else(|| line("")).unwrap_or_default();
        let is_unit = |name: &&str| name.ends_with(".service") || name.ends_with(".scope");
        let is_manager = |name: &str| name.starts_with("user@") && name.ends_with(".service");
        Self {
            unit: path.rsplit('/').find(is_unit).map(str::to_owned),
            in_user_manager: path.split('/').any(is_manager),
        }
    }

    /// Returns the scope of the login session that it belongs to, if any.
    fn session(&self) -> Option<&str> {
        let unit = self.unit.as_deref().filter(|_| !self.in_user_manager);
        unit.filter(|unit| unit.starts_with("session-") && unit.ends_with(".scope"))
    }
}

fn unit(place: &Place) -> Option<Finding> {
    let unit = place.unit.as_ref()?;
    if unit.ends_with(".scope") || unit.starts_with("user@") {
        return Some(Ok(format!("`{unit}`")));
    }
    let detail = format!(
        "this runs in `{unit}`: when the unit stops, systemd ends everything that was started in it, including jobs"
    );
    Some(Err(Doubt::degraded(detail).advise(format!("{RUN_OUTSIDE}, or set `KillMode=process` in `{unit}`"))))
}

fn logout(place: &Place, logind: Option<&Logind>, user: Option<&str>, lingers: Option<bool>) -> Option<Finding> {
    let linger = "`loginctl enable-linger`, once";
    if place.in_user_manager {
        return match lingers? {
            true => Some(Ok("the user's systemd keeps running after a logout (linger)".to_owned())),
            false => {
                let detail =
                    "the user's systemd ends after the last logout, and with it everything that was started in it";
                Some(Err(Doubt::degraded(detail).advise(linger)))
            }
        };
    }
    let kills = logind?.kills(user?)?;
    Some(match (place.session(), kills) {
        (_, false) => Ok("a logout does not end this user's processes (KillUserProcesses)".to_owned()),
        (None, true) => Ok("KillUserProcesses=yes, but this is not in a login session".to_owned()),
        (Some(session), true) => {
            let detail = format!(
                "KillUserProcesses=yes: a logout ends everything that was started in `{session}`, including jobs"
            );
            let advice = format!("{linger}, and {RUN_OUTSIDE}; or `KillUserProcesses=no` in logind.conf(5)");
            Err(Doubt::degraded(detail).advise(advice))
        }
    })
}

/// The settings of logind.conf(5) for processes that are left at a logout.
#[derive(Debug, PartialEq)]
struct Logind {
    /// Absent if neither a file nor a comment with the default sets it.
    kill_user_processes: Option<bool>,
    only: Vec<String>,
    exclude: Vec<String>,
}

impl Logind {
    /// Its directories, in order of precedence.
    const DIRECTORIES: [&'static str; 4] = ["etc/systemd", "run/systemd", "usr/local/lib/systemd", "usr/lib/systemd"];

    /// Reads the main file and the drop-ins, or returns `None` if there are none.
    fn read(machine: &Machine) -> Option<Self> {
        let main = Self::DIRECTORIES.iter().find_map(|directory| machine.read(&format!("{directory}/logind.conf")));
        // Sorted by name across the directories; of two with the same name, the one of higher precedence counts.
        let mut parts = BTreeMap::new();
        for directory in Self::DIRECTORIES.iter().rev() {
            let directory = format!("{directory}/logind.conf.d");
            for name in machine.names(&directory).into_iter().filter(|name| name.ends_with(".conf")) {
                let text = machine.read(&format!("{directory}/{name}")).unwrap_or_default();
                parts.insert(name, text);
            }
        }
        let texts: Vec<_> = main.into_iter().chain(parts.into_values()).collect();
        (!texts.is_empty()).then(|| Self::parse(texts.iter().map(String::as_str)))
    }

    fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self { kill_user_processes: None, only: Vec::new(), exclude: vec!["root".to_owned()] };
        let mut default = None;
        for text in texts {
            let mut section = "";
            for line in text.lines().map(str::trim) {
                if line.starts_with('[') {
                    section = line;
                }
                // The distributed file shows the built-in defaults as comments.
                if let Some(value) = line.strip_prefix("#KillUserProcesses=") {
                    default = parse_bool(value);
                }
                let Some((key, value)) = line.split_once('=').filter(|_| section == "[Login]") else { continue };
                match key.trim() {
                    "KillUserProcesses" => {
                        found.kill_user_processes = parse_bool(value).or(found.kill_user_processes);
                    }
                    "KillOnlyUsers" => add(&mut found.only, value),
                    "KillExcludeUsers" => add(&mut found.exclude, value),
                    _ => {}
                }
            }
        }
        found.kill_user_processes = found.kill_user_processes.or(default);
        found
    }

    /// Returns whether a logout of this user ends processes, or `None` if that is not known.
    fn kills(&self, user: &str) -> Option<bool> {
        let names = |list: &[String]| list.iter().any(|name| name == user);
        let concerned = !names(&self.exclude) && (self.only.is_empty() || names(&self.only));
        Some(self.kill_user_processes? && concerned)
    }
}

/// Adds names to a list; an empty value clears the list, systemd.syntax(7).
fn add(list: &mut Vec<String>, value: &str) {
    match value.trim() {
        "" => list.clear(),
        names => list.extend(names.split_whitespace().map(str::to_owned)),
    }
}

fn parse_bool(value: &str) -> Option<bool> {
    match value.trim().to_ascii_lowercase().as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Some(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: &str = "0::/user.slice/user-1000.slice/session-3.scope\n";
    const TERMINAL: &str = "0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-term-7.scope\n";
    const SERVER: &str = "12:pids:/\n1:name=systemd:/system.slice/agent.service\n0::/\n";
    const CONTAINER: &str = "0::/\n";

    fn logind(text: &str) -> Logind {
        Logind::parse([text].into_iter())
    }

    fn advice(finding: Option<Finding>) -> Option<String> {
        finding?.err()?.advice
    }

    #[test]
    fn a_service_ends_its_jobs_and_a_scope_does_not() {
        let unit_of = |cgroup| unit(&Place::parse(cgroup));
        assert_eq!(unit_of(SESSION), Some(Ok("`session-3.scope`".to_owned())));
        assert_eq!(unit_of(TERMINAL), Some(Ok("`app-term-7.scope`".to_owned())));
        assert!(advice(unit_of(SERVER)).unwrap().contains("`KillMode=process` in `agent.service`"));
        for nothing in [CONTAINER, "", "torn", "0::"] {
            assert_eq!(unit_of(nothing), None, "{nothing}");
        }
    }

    #[test]
    fn a_logout_kills_sessions_only_if_it_is_configured() {
        let kills = logind("[Login]\nKillUserProcesses=yes\n");
        let leaves = logind("[Login]\n#KillUserProcesses=no\n");
        let at = |cgroup, logind| logout(&Place::parse(cgroup), Some(logind), Some("me"), Some(true));
        assert!(advice(at(SESSION, &kills)).unwrap().contains("systemd-run --user --scope"));
        assert!(matches!(at(SESSION, &leaves), Some(Ok(_))));
        assert!(matches!(at(TERMINAL, &kills), Some(Ok(_))));
        assert!(matches!(at(CONTAINER, &kills), Some(Ok(_))));
        assert_eq!(logout(&Place::parse(SESSION), None, Some("me"), None), None);
        let not_lingering = logout(&Place::parse(TERMINAL), None, Some("me"), Some(false));
        assert!(advice(not_lingering).unwrap().contains("enable-linger"));
    }

    #[test]
    fn some_users_are_spared() {
        let text = "[Login]\nKillUserProcesses=on\nKillOnlyUsers=me you\nKillExcludeUsers=you\n";
        let kills = |user| logind(text).kills(user);
        assert_eq!(
            [kills("me"), kills("you"), kills("root"), kills("she")],
            [Some(true), Some(false), Some(false), Some(false)]
        );
        assert_eq!(logind("[Login]\nKillUserProcesses=1\nKillExcludeUsers=\n").kills("root"), Some(true));
        assert_eq!(logind("[Other]\nKillUserProcesses=1\n").kills("me"), None);
    }

    #[test]
    fn drop_ins_take_precedence_by_name_and_then_by_directory() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let machine = Machine::at(directory.path());
        assert_eq!(Logind::read(&machine), None);
        let kills = || Logind::read(&machine).unwrap().kills("me");
        write("usr/lib/systemd/logind.conf", "[Login]\n#KillUserProcesses=yes\n");
        assert_eq!(kills(), Some(true));
        write("etc/systemd/logind.conf", "[Login]\nKillUserProcesses=no\n");
        assert_eq!(kills(), Some(false));
        write("usr/lib/systemd/logind.conf.d/50-vendor.conf", "[Login]\nKillUserProcesses=yes\n");
        assert_eq!(kills(), Some(true));
        write("etc/systemd/logind.conf.d/50-vendor.conf", "");
        assert_eq!(kills(), Some(false), "masked by an empty file of the same name");
        write("run/systemd/logind.conf.d/60-local.conf", "[Login]\nKillUserProcesses=yes\n");
        assert_eq!(kills(), Some(true));
    }

    #[test]
    fn a_users_manager_that_lingers_is_found_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = directory.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let machine = Machine::at(directory.path());
        let uid = crate::sys::user::id();
        write("etc/passwd", &format!("other:x:{}::/:\nme:x:{uid}:{uid}::/home/me:/bin/sh\n", uid + 1));
        write("proc/self/cgroup", TERMINAL);
        let result = || {
            let mut report = Report::default();
            examine(&machine, &mut report);
            report.steps.into_iter().find(|step| step.name == "logout").unwrap().result
        };
        assert_eq!(result(), crate::doctor::Health::Degraded);
        write("var/lib/systemd/linger/me", "");
        assert_eq!(result(), crate::doctor::Health::Ok);
    }
}
