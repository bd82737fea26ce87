//! The rules of the credentials, with the file alone, since no keyring is asked where `GEMRA_HOME` is set; and with a
//! keyring that fails as real ones do, and when a test wants it to.

use super::keyring::Ring;
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

/// A keyring in memory.
#[derive(Default)]
struct Fickle {
    kept: Mutex<BTreeMap<Name, String>>,
    /// Nobody answers.
    gone: Mutex<bool>,
    /// It takes nothing more, and lets nothing go.
    locked: Mutex<bool>,
    /// Done once when it has taken something.
    then: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Fickle {
    fn open(&self) -> Result<(), String> {
        if *self.locked.lock().unwrap() { Err("it is locked".to_owned()) } else { Ok(()) }
    }

    fn holds(&self, name: Name) -> Option<String> {
        self.kept.lock().unwrap().get(&name).cloned()
    }
}

impl Ring for Fickle {
    fn is_there(&self) -> Result<(), String> {
        if *self.gone.lock().unwrap() { Err("it has gone".to_owned()) } else { Ok(()) }
    }

    fn set(&self, name: Name, value: &str) -> Result<(), String> {
        self.open()?;
        self.kept.lock().unwrap().insert(name, value.to_owned());
        if let Some(then) = self.then.lock().unwrap().take() {
            then();
        }
        Ok(())
    }

    fn get(&self, name: Name) -> Result<Option<String>, String> {
        Ok(self.holds(name))
    }

    fn delete(&self, name: Name) -> Result<(), String> {
        self.open()?;
        self.kept.lock().unwrap().remove(&name);
        Ok(())
    }
}

/// The credentials as a new process finds them.
fn started(folder: &Path, ring: &Arc<Fickle>) -> Credentials {
    Credentials::with_ring(folder.join("credentials.json"), Arc::clone(ring) as Arc<dyn Ring>)
}

#[tokio::test]
async fn an_old_key_leaves_the_keyring_whichever_way_it_was_replaced() {
    const TOKEN: Name = Name::GithubToken;
    for forgotten in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let ring = Arc::new(Fickle::default());
        let first = started(folder.path(), &ring);
        assert_eq!(first.set(TOKEN, "ghp-old").await.unwrap(), Kept::Keyring, "it is kept in the keyring");
        *ring.locked.lock().unwrap() = true;
        assert_eq!(first.set(TOKEN, "ghp-new").await.unwrap(), Kept::File, "a locked one takes nothing");
        assert_eq!(first.values()[&TOKEN], "ghp-new", "the new one counts");
        assert_eq!(ring.holds(TOKEN).as_deref(), Some("ghp-old"), "the old one is in there still");
        if forgotten {
            let error = first.forget(TOKEN).await.unwrap_err().to_string();
            assert!(error.contains("it is locked"), "what stays is told: {error}");
            assert!(!first.values().contains_key(&TOKEN), "and counts for nothing");
        }
        drop(first);
        *ring.locked.lock().unwrap() = false;
        let again = started(folder.path(), &ring);
        again.ready().await.unwrap();
        let expected = (!forgotten).then_some("ghp-new");
        assert_eq!(again.values().get(&TOKEN).map(String::as_str), expected, "forgotten: {forgotten}");
        assert_eq!(ring.holds(TOKEN).as_deref(), expected, "nothing older is left in the keyring");
        let file = std::fs::read_to_string(folder.path().join("credentials.json")).unwrap_or_default();
        assert!(!file.contains("toClear"), "and nothing is left to do: {file}");
    }
}

#[tokio::test]
async fn what_was_kept_before_still_is_where_the_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (folder.path().join("credentials.json"), folder.path().join("aside.json"));
    let ring = Arc::new(Fickle::default());
    *ring.gone.lock().unwrap() = true;
    let credentials = started(folder.path(), &ring);
    assert_eq!(credentials.set(Name::ApiKey, "sk-old").await.unwrap(), Kept::File, "there is no keyring yet");
    *ring.gone.lock().unwrap() = false;
    let (from, to) = (file.clone(), aside.clone());
    *ring.then.lock().unwrap() = Some(Box::new(move || {
        // A folder is in the way from now on.
        std::fs::rename(&from, to).unwrap();
        std::fs::create_dir_all(from.join("in the way")).unwrap();
    }));
    let error = credentials.set(Name::ApiKey, "sk-new").await.unwrap_err();
    assert!(matches!(error, CredentialsError::File { .. }), "it is said: {error}");
    assert_eq!(credentials.values()[&Name::ApiKey], "sk-old", "the one before counts");
    std::fs::remove_dir_all(&file).unwrap();
    std::fs::rename(&aside, &file).unwrap();
    *ring.gone.lock().unwrap() = true;
    let again = started(folder.path(), &ring);
    again.ready().await.unwrap();
    assert_eq!(again.values()[&Name::ApiKey], "sk-old", "for another process too");
    *ring.gone.lock().unwrap() = false;
    let later = started(folder.path(), &ring);
    later.ready().await.unwrap();
    assert_eq!(later.values()[&Name::ApiKey], "sk-old", "and what the keyring was given in vain is overwritten");
    assert_eq!(ring.holds(Name::ApiKey).as_deref(), Some("sk-old"), "when the key moves there");
}
