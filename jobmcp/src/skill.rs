//! The skill that teaches a model when and how to use jobs, for clients that read skills from servers (SEP-2640).

use jobcore::front::SKILL;
use rmcp::model::{
    ErrorData, GetSkillResult, ListSkillsResult, ReadResourceResult, ResourceContents, Skill, SkillFrontmatter,
    SkillResource, SkillResources,
};

const URI: &str = "skill://background-jobs/SKILL.md";

/// Returns the only skill.
pub(crate) fn list() -> ListSkillsResult {
    ListSkillsResult::with_all_items(vec![skill()])
}

pub(crate) fn get(uri: &str) -> Result<GetSkillResult, ErrorData> {
    match uri {
        URI => Ok(GetSkillResult::new(skill())),
        _ => Err(ErrorData::invalid_params(format!("there is no skill with this URI; the only one is {URI}"), None)),
    }
}

/// Returns the text of the skill; nothing if the URI names something else.
pub(crate) fn read(uri: &str) -> Option<ReadResourceResult> {
    let contents = || ResourceContents::text(SKILL, URI).with_mime_type("text/markdown");
    (uri == URI).then(|| ReadResourceResult::new(vec![contents()]))
}

fn skill() -> Skill {
    let field = |name: &str| SKILL.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let frontmatter = SkillFrontmatter::new(field("name:"), field("description:"));
    let file = SkillResource::from_bytes(URI, SKILL.as_bytes());
    Skill::new(URI, frontmatter, SkillResources::Files(vec![file]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_skill_matches_its_manifest() {
        let skill = get(URI).unwrap().skill;
        assert_eq!(skill.validate(), Ok(()));
        assert_eq!(skill.frontmatter.name, "background-jobs");
        assert!(skill.frontmatter.description.starts_with("Run long shell commands"));
        let SkillResources::Files(files) = &list().skills[0].resources else { panic!() };
        assert_eq!(files[0].verify(SKILL.as_bytes()), Ok(()));
        assert!(read(URI).is_some() && read("skill://other/SKILL.md").is_none() && get("job://1").is_err());
    }
}
