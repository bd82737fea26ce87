//! The user inside: an image of a devcontainer knows its own users, and the agent has the ids of the workspace's owner.
//! A last layer on the image brings the two together, so that files belong to one user on both sides.

use super::properties::Properties;

/// Who the agent is inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    /// The image's user whom it takes after; empty where the image has none but root.
    pub name: String,
    /// Whether that user's ids may be changed.
    pub update: bool,
}

/// Whom merged properties and an image mean.
pub fn who(properties: &Properties, image_user: Option<&str>) -> Who {
    let image_user = image_user.map(|user| user.split(':').next().unwrap_or_default());
    let named = properties.remote_user.as_deref().or(properties.container_user.as_deref()).or(image_user);
    let name = named.unwrap_or_default().trim();
    // Root's ids are never changed, and a bare number names nobody.
    let nobody = name.is_empty() || name == "root" || name.chars().all(|digit| digit.is_ascii_digit());
    let name = if nobody { String::new() } else { name.to_owned() };
    Who { name, update: properties.update_remote_user_uid.unwrap_or(true) }
}

/// The Dockerfile of the last layer; `None` where the agent is root and nothing is to be done.
///
/// # Errors
/// In words, where the user's name cannot be one.
pub fn layer(image: &str, who: &Who, uid: u32, gid: u32, home: &str) -> Result<Option<String>, String> {
    if uid == 0 {
        return Ok(None);
    }
    let valid = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-' | '.' | '$');
    if !who.name.chars().all(valid) {
        return Err(format!("{:?} cannot be a user's name", who.name));
    }
    let script = SCRIPT
        .replace("@NAME@", &who.name.replace('$', "\\$"))
        .replace("@UPDATE@", if who.update { "1" } else { "0" })
        .replace("@UID@", &uid.to_string())
        .replace("@GID@", &gid.to_string())
        .replace("@HOME@", home);
    let lines: Vec<String> = script.trim().lines().map(|line| format!("    {} \\", line.trim_end())).collect();
    let body = lines.join("\n");
    let body = body.trim_end_matches('\\').trim_end();
    Ok(Some(format!("FROM {image}\nUSER root\nRUN set -eu; \\\n{body}\nUSER {uid}:{gid}\n")))
}

/// What happens to the image's users. It uses what every image with a shell has, and no `usermod`.
///
/// - Somebody has the id already: that user is the agent, whoever the file names. Taking the id away would take their
///   files away.
/// - Else the named user gets it, with the home folder, where that may be done.
/// - Else the agent gets an entry of its own: without one `ssh` and Node's `userInfo` refuse to work.
///
/// The home folder that Gemra mounts its volumes in is a link to the user's own, so that its dotfiles are there.
const SCRIPT: &str = r#"
name='@NAME@'; uid=@UID@; gid=@GID@; home=@HOME@;
taken=$(awk -F: -v u="$uid" '$3 == u { print $1; exit }' /etc/passwd 2>/dev/null || sed -n "s/^\([^:]*\):[^:]*:$uid:.*/\1/p" /etc/passwd | head -n 1);
known=$(sed -n "s/^\($name\):.*/\1/p" /etc/passwd | head -n 1);
if ! grep -q "^[^:]*:[^:]*:$gid:" /etc/group; then
if [ @UPDATE@ = 1 ] && [ -z "$taken" ] && [ -n "$name" ] && [ -n "$known" ] && grep -q "^$name:" /etc/group; then
sed "s/^\($name:[^:]*\):[^:]*:/\1:$gid:/" /etc/group >/tmp/gemra-group;
else cp /etc/group /tmp/gemra-group; echo "gemra:x:$gid:" >>/tmp/gemra-group; fi;
cat /tmp/gemra-group >/etc/group; rm /tmp/gemra-group; fi;
if [ -z "$taken" ]; then
if [ @UPDATE@ = 1 ] && [ -n "$name" ] && [ -n "$known" ]; then
sed "s/^\($name:[^:]*\):[^:]*:[^:]*:/\1:$uid:$gid:/" /etc/passwd >/tmp/gemra-passwd;
cat /tmp/gemra-passwd >/etc/passwd; rm /tmp/gemra-passwd; taken=$name;
else echo "gemra:x:$uid:$gid:Gemra:$home:/bin/sh" >>/etc/passwd; taken=gemra; fi; fi;
own=$(sed -n "s/^$taken:[^:]*:[^:]*:[^:]*:[^:]*:\([^:]*\):.*/\1/p" /etc/passwd | head -n 1);
case "$own" in ''|/|/nonexistent|/root) own=$home;; esac;
mkdir -p "$own"; chown -R "$uid:$gid" "$own";
if [ "$own" != "$home" ] && [ ! -e "$home" ]; then mkdir -p "$(dirname "$home")"; ln -s "$own" "$home"; fi;
mkdir -p "$home/.claude/projects" "$home/.cache"; chown "$uid:$gid" "$home/" "$home/.claude" "$home/.claude/projects" "$home/.cache"
"#;

#[cfg(test)]
mod tests {
    use super::*;

    fn properties(remote: Option<&str>, container: Option<&str>) -> Properties {
        Properties {
            remote_user: remote.map(str::to_owned),
            container_user: container.map(str::to_owned),
            ..Properties::default()
        }
    }

    #[test]
    fn the_nearest_name_counts() {
        let cases = [
            (Some("a"), Some("b"), Some("c"), "a"),
            (None, Some("b"), Some("c"), "b"),
            (None, None, Some("c:d"), "c"),
            (None, None, None, ""),
            (Some("root"), Some("b"), Some("c"), ""),
            (Some("1000"), None, None, ""),
        ];
        for (remote, container, image, expected) in cases {
            let found = who(&properties(remote, container), image);
            assert_eq!(found.name, expected, "{remote:?}, {container:?}, {image:?}");
            assert!(found.update, "ids are changed unless the file says otherwise");
        }
        let kept = Properties { update_remote_user_uid: Some(false), ..properties(Some("a"), None) };
        assert!(!who(&kept, None).update, "the file may say so");
    }

    #[test]
    fn names_that_are_none_and_roots_workspaces_get_no_layer() {
        let own = |name: &str| Who { name: name.to_owned(), update: true };
        assert_eq!(layer("i", &own("vscode"), 0, 0, "/root"), Ok(None), "root is root");
        for name in ["a b", "a;rm -rf /", "a'b", "a\nb", "a/b"] {
            assert!(layer("i", &own(name), 1000, 1000, "/home/node").is_err(), "{name:?} is refused");
        }
        let text = layer("image:tag", &own("vscode"), 1000, 1001, "/home/node").unwrap().unwrap();
        assert!(text.starts_with("FROM image:tag\nUSER root\nRUN "), "it is a layer on the image: {text}");
        assert!(text.ends_with("USER 1000:1001\n"), "and ends with the agent's user: {text}");
        assert!(!text.contains('@'), "nothing is left open: {text}");
    }
}
