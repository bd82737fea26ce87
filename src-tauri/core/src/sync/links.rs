//! Whether a link stays within the tree that it is in. It follows none.

use std::path::Path;

use super::manifest::parent;

/// True where a link at `path` leads to something within the tree: it may go up first, as far as the tree goes, and
/// then only down, because what goes up behind another link goes up from where that leads.
pub(super) fn stays_inside(path: &str, target: &str, here: &Path) -> bool {
    let own = here.to_str().unwrap_or_default();
    let within = |root: &str| target.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    if target.starts_with('/') {
        // The tree has its own path there too.
        return within(own).is_some_and(|rest| !rest.split('/').any(|part| part == ".."));
    }
    let mut depth = parent(path).map_or(0, |folder| folder.split('/').count());
    let mut down = false;
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." if down || depth == 0 => return false,
            ".." => depth -= 1,
            _ => down = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_that_lead_out_are_known() {
        let here = Path::new("/work/project");
        let cases = [
            ("a", "b", true),
            ("a/b", "../c", true),
            ("a/b", "../../c", false),
            ("a", "..", false),
            ("a", "/etc/passwd", false),
            ("a", "/work/project/b", true),
            ("a", "/work/project/../b", false),
            ("a", "/work/projects", false),
            // "b" may be a link to ".", above which is outside.
            ("a", "b/../../c", false),
            ("a", "b/../c", false),
            ("a/b/c", "../../x/./y", true),
            ("a", "./b//c", true),
        ];
        for (path, target, expected) in cases {
            assert_eq!(stays_inside(path, target, here), expected, "{path} -> {target}");
        }
    }
}
