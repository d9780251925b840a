//! `Procfile`, as read by foreman(1) and Heroku: each line is a name, a colon and a shell line.

use serde_json::Map;

use super::jobs::Jobs;

pub(super) fn read(text: &str, _: &mut Vec<String>) -> Result<Jobs, String> {
    let mut jobs = Jobs::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (name, command) = line
            .split_once(':')
            .filter(|(_, command)| !command.trim().is_empty())
            .ok_or_else(|| format!("line {}: `{line}` is not `NAME: COMMAND`", number + 1))?;
        let spec = Map::from_iter([("command".to_owned(), command.trim().into())]);
        if jobs.insert(name.trim().to_owned(), spec).is_some() {
            return Err(format!("line {}: there are two jobs `{}`", number + 1, name.trim()));
        }
    }
    Ok(jobs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_job() {
        let jobs =
            read("# servers\nweb: PORT=3000 serve --url http://x\n\n worker:  work  \n", &mut Vec::new()).unwrap();
        let commands: Vec<_> =
            jobs.iter().map(|(name, spec)| (name.as_str(), spec["command"].as_str().unwrap())).collect();
        assert_eq!(commands, [("web", "PORT=3000 serve --url http://x"), ("worker", "work")]);
        for wrong in ["web", "web:", "web: a\nweb: b"] {
            assert!(read(wrong, &mut Vec::new()).is_err(), "{wrong}");
        }
    }
}
