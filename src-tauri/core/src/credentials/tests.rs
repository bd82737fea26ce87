//! The rules of the credentials, with the file alone: no keyring is asked where `GEMRA_HOME` is set.

use super::*;

fn of(folder: &Path) -> (Arc<Credentials>, Environment) {
    let environment = Environment::of([
        ("GEMRA_HOME", folder.to_str().unwrap()),
        ("ANTHROPIC_API_KEY", "inherited"),
        ("ANTHROPIC_AUTH_TOKEN", "inherited"),
    ]);
    (Credentials::new(folder.join("credentials.json"), &environment), environment)
}

#[tokio::test]
async fn what_is_set_is_there_again_and_the_file_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, environment) = of(folder.path());
    assert_eq!(credentials.set(Name::ApiKey, " sk-secret \n").await.unwrap(), Kept::File, "the keyring is elsewhere");
    credentials.set(Name::BaseUrl, "https://me:word@box.example/v1?key=word").await.unwrap();
    let (again, _) = of(folder.path());
    again.ready().await.unwrap();
    assert_eq!(again.values()[&Name::ApiKey], "sk-secret", "blanks around a pasted key are none of it");
    let listing = again.list(&environment).await.unwrap();
    let of = |name: Name| listing.known.iter().find(|known| known.name == name).unwrap();
    assert_eq!((of(Name::ApiKey).kept, of(Name::ApiKey).inherited), (Some(Kept::File), true), "set, and inherited");
    assert_eq!(of(Name::ApiKey).shown, None, "nothing of a key is shown");
    assert_eq!(of(Name::BaseUrl).shown.as_deref(), Some("https://box.example/v1"), "of an address what is no secret");
    assert_eq!(of(Name::GithubToken).kept, None, "what was not set is not there");
    assert!(listing.reason.is_some_and(|why| why.contains("GEMRA_HOME")), "why it is the file is told");
    assert!(!format!("{again:?}").contains("secret"), "Debug shows names alone");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = || std::fs::metadata(folder.path().join("credentials.json")).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(), 0o600, "nobody else may read it");
        let open = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(folder.path().join("credentials.json"), open).unwrap();
        self::of(folder.path()).0.ready().await.unwrap();
        assert_eq!(mode(), 0o600, "one that was opened is closed again");
    }
    for name in [Name::ApiKey, Name::BaseUrl] {
        again.forget(name).await.unwrap();
    }
    assert!(again.values().is_empty(), "what was forgotten is gone");
    assert!(!folder.path().join("credentials.json").exists(), "and nothing is left of it");
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused_without_being_told() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, _) = of(folder.path());
    let cases = [
        (Name::ApiKey, "  ", "is empty"),
        (Name::ApiKey, "sk-one sk-two", "holds a blank"),
        (Name::GithubToken, "ghp_one\nghp_two", "line break"),
        (Name::AuthToken, "sk-ümläut", "no key has"),
        (Name::BaseUrl, "localhost:4000", "https://"),
        (Name::BaseUrl, "https://", "a host follows"),
    ];
    for (name, value, why) in cases {
        let error = credentials.set(name, value).await.unwrap_err().to_string();
        assert!(error.contains(name.variable()) && error.contains(why), "{value:?}: {error}");
        let is_key = name != Name::BaseUrl && !value.trim().is_empty();
        assert!(!is_key || !error.contains(value), "the value is not told: {error}");
    }
    assert!(credentials.values().is_empty(), "nothing was kept");
}

#[tokio::test]
async fn a_broken_file_is_told_and_left() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("credentials.json");
    std::fs::write(&path, "{\"values\": {\"ANTHROPIC_API_KEY\": sk-secret").unwrap();
    let (credentials, _) = of(folder.path());
    for error in [credentials.ready().await.unwrap_err(), credentials.set(Name::ApiKey, "sk").await.unwrap_err()] {
        let failure = Failure::from(&error);
        assert_eq!(failure.code, Code::CredentialsFailed, "{failure}");
        assert!(failure.cause.contains("credentials.json"), "the file is named: {failure}");
        assert!(!failure.to_string().contains("sk-secret"), "and not what is in it: {failure}");
    }
    assert!(std::fs::read_to_string(&path).unwrap().contains("sk-secret"), "nobody's work is lost");
}

#[tokio::test]
async fn the_nearer_one_counts_and_brings_no_second_login_along() {
    let folder = tempfile::tempdir().unwrap();
    let (credentials, _) = of(folder.path());
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    };
    let none = credentials.changes(Vec::new());
    assert!(none.is_empty(), "where nothing is set, the environment stays as it is: {none:?}");
    credentials.set(Name::ApiKey, "own").await.unwrap();
    credentials.set(Name::BaseUrl, "http://127.0.0.1:4000").await.unwrap();
    let own = credentials.changes(owned(&[("SPICE", "saffron")]));
    assert_eq!(own["ANTHROPIC_API_KEY"].as_deref(), Some("own"), "it comes before an inherited one");
    assert_eq!(own["ANTHROPIC_AUTH_TOKEN"], None, "another login of the environment would be taken instead");
    assert_eq!(own["SPICE"].as_deref(), Some("saffron"), "the project's variables are there");
    let project = credentials.changes(owned(&[("CLAUDE_CODE_OAUTH_TOKEN", "near")]));
    assert_eq!(project["CLAUDE_CODE_OAUTH_TOKEN"].as_deref(), Some("near"), "the project's login is nearer");
    assert!(!project.contains_key("ANTHROPIC_API_KEY"), "and so the one for all does not come along");
    assert!(project.contains_key("ANTHROPIC_BASE_URL"), "the address does");
}
