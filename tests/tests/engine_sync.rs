//! Folders kept the same with volumes at a real engine: what goes up, what comes back, what goes nowhere, and whose it
//! all is. The other side is changed by a container of the agent's own kind, as its user.

#![allow(clippy::unwrap_used)] // What cannot be set up fails the test, which is what it is for.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bollard::query_parameters::RemoveVolumeOptions;
use gemra_core::container::holdings;
use gemra_core::container::image::Image;
use gemra_core::container::labels::Owner;
use gemra_core::container::spec::{ExtraMount, MountSource};
use gemra_core::process::Process;
use gemra_core::sync::{self, Conflict, Folder, Kind, Session, Store, Terms, Told};
use tests::engine::lab::{self, Lab, ask, owner_of};
use tests::engine::{Engine, see};

const SOON: Duration = Duration::from_mins(2);

/// A workspace here, a home, and what was told.
struct Both {
    lab: Lab,
    image: Image,
    owner: (u32, u32),
    here: PathBuf,
    store: Store,
    kind: Kind,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Both {
    async fn open(owner: (u32, u32)) -> Self {
        let lab = Lab::open().await;
        let image = lab.agent_image().await;
        let here = lab.folder(&format!("project {} ä", owner.0), owner);
        let home = lab.folder("home", lab::ids());
        let store = Store::new(home.join("sync"), home.join("conflicts"), "home");
        Self { lab, image, owner, here, store, kind: Kind::Project, told: Arc::default() }
    }

    async fn session(&self) -> Session {
        self.session_of("t1").await
    }

    async fn session_of(&self, tab: &str) -> Session {
        let workspace = self.here.display().to_string();
        let labels = Owner { instance: self.lab.instance.clone(), tab: tab.to_owned(), workspace };
        let terms = Terms {
            labels,
            name: format!("gemra-t1-{}-sync", &uuid::Uuid::new_v4().simple().to_string()[..8]),
            image: self.image.tag.clone(),
            user: self.owner,
            owner: self.owner,
        };
        let folders = [Folder { here: self.here.clone(), kind: self.kind }];
        let turn = self.store.turn(tab).await;
        Session::open(&self.lab.engine, &terms, &folders, &self.store, turn).await.expect("the session opens")
    }

    /// Removes the workspace's volumes that may go, as the app does; the names of those that went, and why others stay.
    async fn clean(&self) -> (Vec<String>, Vec<String>) {
        let records = self.lab.folder("home", lab::ids()).join("sync");
        let needed = |volume: &str| sync::needed(Some(&records), volume);
        let label = self.here.display().to_string();
        let pruned = holdings::clean_volumes(&self.lab.engine, &label, needed).await.expect("the engine lists them");
        let removed = pruned.removed.into_iter().map(|one| one.name).collect();
        (removed, pruned.stayed.into_iter().map(|(_, why)| why).collect())
    }

    async fn round(&self, session: &mut Session) {
        let told = Arc::clone(&self.told);
        session.round(&move |news| told.lock().unwrap().push(news)).await.expect("the round is done");
    }

    fn conflicts(&self) -> Vec<Conflict> {
        self.store.conflicts(&self.here)
    }

    /// The agent's own container on the volume, which runs shell.
    async fn agent(&self, session: &mut Session) -> Process {
        session.lend().await.expect("it can be written down");
        let mut wish = self.lab.wish(&self.image, self.owner);
        let volume = session.volumes()[&self.here].clone();
        wish.mounts =
            vec![ExtraMount { source: MountSource::Volume(volume), target: "/there".to_owned(), read_only: false }];
        let mut agent = self.lab.start(&wish).await;
        assert_eq!(ask(&mut agent, "cd /there && echo ok").await, "ok", "the agent is in its copy");
        agent
    }

    fn write(&self, path: &str, text: &str) {
        let file = self.here.join(path);
        let mut folder = file.parent().unwrap();
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(&file, text).unwrap();
        // As if the owner had written it.
        if lab::ids().0 == 0 {
            chown(&file, Some(self.owner.0), Some(self.owner.1)).unwrap();
            while folder != self.here {
                chown(folder, Some(self.owner.0), Some(self.owner.1)).unwrap();
                folder = folder.parent().unwrap();
            }
        }
    }

    fn read(&self, path: &str) -> Option<String> {
        std::fs::read_to_string(self.here.join(path)).ok()
    }

    /// Ends the test's volumes too.
    async fn forget(self, session: Session) {
        let volumes: BTreeMap<PathBuf, String> = session.volumes().clone();
        session.close().await;
        let left = see::containers(Engine::shared(), &self.lab.label()).await;
        assert!(left.is_empty(), "no companion is left: {left:?}");
        for volume in volumes.values() {
            Engine::shared().api().remove_volume(volume, None::<RemoveVolumeOptions>).await.expect("nobody uses it");
        }
    }
}

/// What a command in the agent's copy says, its lines joined by `;`.
async fn says(agent: &mut Process, command: &str) -> String {
    ask(agent, &format!("printf '%s\\n' \"$({command})\" | tr '\\n' ';'; echo")).await
}

async fn does(agent: &mut Process, command: &str) {
    assert_eq!(ask(agent, &format!("{{ {command}; }} >/dev/null 2>&1 && echo ok || echo no")).await, "ok", "{command}");
}

#[tokio::test]
async fn a_workspace_goes_up_whole_and_belongs_to_the_agent_and_comes_back_to_its_owner() {
    for owner in lab::owners() {
        let both = Both::open(owner).await;
        both.write(".gitignore", "target/\n*.log\n");
        both.write(".dockerignore", "secret\n");
        both.write(".git/config", "[core]\n");
        both.write(".git/logs/a.log", "git's own");
        both.write("src/deep/main.rs", "fn main() {}");
        both.write("run.sh", "#!/bin/sh\n");
        std::fs::set_permissions(both.here.join("run.sh"), PermissionsExt::from_mode(0o750)).unwrap();
        both.write("a name with ' and \\ and *.txt", "odd");
        both.write("target/big", "built here");
        both.write("noise.log", "x");
        both.write("secret", "x");
        symlink("src/deep/main.rs", both.here.join("link")).unwrap();
        std::fs::create_dir(both.here.join("empty")).unwrap();

        let mut session = both.session().await;
        both.round(&mut session).await;
        let sending = both
            .told
            .lock()
            .unwrap()
            .iter()
            .any(|told| matches!(told, Told::Doing(words) if words.starts_with("Sending 8 files (")));
        assert!(sending, "what is sent is told, for {owner:?}: {:?}", both.told.lock().unwrap());
        let mut agent = both.agent(&mut session).await;
        let listed = says(&mut agent, "find . ! -name . | sort").await;
        let expected = "./.dockerignore;./.git;./.git/config;./.git/logs;./.git/logs/a.log;./.gitignore;\
             ./a name with ' and \\ and *.txt;./empty;./link;./run.sh;./src;./src/deep;./src/deep/main.rs;";
        assert_eq!(listed, expected, "all but what the rules name is there, for {owner:?}");
        let others = says(&mut agent, &format!("find . ! -user {} -o ! -group {}", owner.0, owner.1)).await;
        assert_eq!(others, ";", "all of it is the agent's, for {owner:?}");
        assert_eq!(says(&mut agent, "stat -c %a run.sh; readlink link").await, "750;src/deep/main.rs;", "as it was");

        // What the agent does comes back, but not what the rules name.
        does(&mut agent, "mkdir -p new/folder target && echo made >new/folder/file && echo x >target/there").await;
        does(&mut agent, "echo changed >src/deep/main.rs && chmod 700 run.sh && rm 'link' && rmdir empty").await;
        does(&mut agent, "ln -s run.sh other && mv .git/config .git/config2").await;
        both.write("fresh", "from here");
        both.round(&mut session).await;
        assert_eq!(both.read("new/folder/file").as_deref(), Some("made\n"), "a new file comes back, for {owner:?}");
        assert_eq!(both.read("src/deep/main.rs").as_deref(), Some("changed\n"), "a changed one too");
        assert_eq!(both.here.join("run.sh").metadata().unwrap().mode() & 0o777, 0o700, "and permissions");
        assert!(!both.here.join("link").is_symlink() && !both.here.join("empty").exists(), "what is gone goes");
        assert_eq!(std::fs::read_link(both.here.join("other")).unwrap(), Path::new("run.sh"), "links come as links");
        assert!(both.read(".git/config").is_none() && both.read(".git/config2").is_some(), "git's files as well");
        assert!(!both.here.join("target/there").exists(), "what the rules name stays there");
        for path in ["new", "new/folder", "new/folder/file", "src/deep/main.rs"] {
            assert_eq!(owner_of(&both.here.join(path)), owner, "{path} is the workspace's owner's");
        }
        assert_eq!(says(&mut agent, "cat fresh").await, "from here;", "what was made here meanwhile is there");
        assert_eq!(says(&mut agent, "ls -A | grep -c gemra").await, "0;", "nothing of ours is left there");
        assert_eq!(both.conflicts(), [], "nobody has changed what the other has");

        // A second session finds everything the same, and carries nothing.
        agent.stop.stop().await;
        session.close().await;
        both.told.lock().unwrap().clear();
        let mut session = both.session().await;
        both.round(&mut session).await;
        let told = both.told.lock().unwrap().clone();
        assert!(matches!(&told[..], [Told::Same { .. }]), "there is nothing to do: {told:?}");
        both.forget(session).await;
    }
}

#[tokio::test]
async fn what_has_changed_on_both_sides_is_overwritten_on_neither_and_shown() {
    let both = Both::open(lab::user()).await;
    for name in ["both", "same", "mine-gone", "theirs-gone", "alone"] {
        both.write(name, "old");
    }
    let mut session = both.session().await;
    both.round(&mut session).await;
    let mut agent = both.agent(&mut session).await;
    does(
        &mut agent,
        "for f in both mine-gone alone new; do printf theirs >$f; done; printf equal >same; rm theirs-gone",
    )
    .await;
    for name in ["both", "theirs-gone", "new"] {
        both.write(name, "mine");
    }
    both.write("same", "equal");
    std::fs::remove_file(both.here.join("mine-gone")).unwrap();
    both.round(&mut session).await;
    let conflicts = both.conflicts();
    let paths: Vec<&str> = conflicts.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["both", "mine-gone", "new", "theirs-gone"], "these, and no others");
    for (name, text) in
        [("both", Some("mine")), ("theirs-gone", Some("mine")), ("new", Some("mine")), ("mine-gone", None)]
    {
        assert_eq!(both.read(name).as_deref(), text, "{name} is here what it was");
    }
    assert_eq!(
        says(&mut agent, "cat both mine-gone new; ls theirs-gone 2>/dev/null").await,
        "theirstheirstheirs;",
        "and there"
    );
    assert_eq!(both.read("alone").as_deref(), Some("theirs"), "what one side has changed is carried all the same");
    for conflict in &conflicts {
        let kept = conflict.theirs.as_ref().map(|path| std::fs::read_to_string(path).unwrap());
        let expected = (conflict.path != "theirs-gone").then(|| "theirs".to_owned());
        assert_eq!(kept, expected, "theirs is kept beside: {conflict:?}");
        assert!(conflict.in_words().contains(&conflict.path), "and both are named: {}", conflict.in_words());
    }
    let told = both.told.lock().unwrap().last().cloned();
    assert!(matches!(told, Some(Told::Same { conflicts, .. }) if conflicts.len() == 4), "they are told");

    // A conflict does not go away by looking at it, and the newest of theirs is what is kept.
    does(&mut agent, "printf newer >both").await;
    both.round(&mut session).await;
    let kept = both.conflicts()[0].theirs.clone().unwrap();
    assert_eq!(std::fs::read_to_string(kept).unwrap(), "newer", "their newest version");
    assert_eq!(both.conflicts().len(), 4, "all wait for the user");

    let left = both.store.answer(&both.here, "both", true).await.expect("theirs is put in place");
    assert_eq!(left.left.len(), 3, "one less");
    both.store.answer(&both.here, "new", false).await.expect("mine is sent");
    both.store.answer(&both.here, "theirs-gone", true).await.expect("what they removed goes");
    both.store.answer(&both.here, "mine-gone", false).await.expect("what was removed here goes there");
    both.round(&mut session).await;
    assert_eq!(both.conflicts(), [], "all are answered");
    assert_eq!((both.read("both").as_deref(), both.read("new").as_deref()), (Some("newer"), Some("mine")), "as chosen");
    assert!(both.read("theirs-gone").is_none() && both.read("mine-gone").is_none(), "as chosen");
    assert_eq!(
        says(&mut agent, "cat both new; ls mine-gone theirs-gone 2>/dev/null").await,
        "newermine;",
        "on both sides"
    );
    agent.stop.stop().await;
    both.forget(session).await;
}

#[tokio::test]
async fn between_a_file_and_a_folder_the_other_one_gets_another_name() {
    for theirs in [true, false] {
        let both = Both::open(lab::user()).await;
        for name in ["file-here", "folder-here", "both-folders/old", "both-folders/same"] {
            both.write(name, "old");
        }
        let mut session = both.session().await;
        both.round(&mut session).await;
        let mut agent = both.agent(&mut session).await;
        does(&mut agent, "rm file-here && mkdir -p file-here/deep && printf theirs >file-here/deep/x").await;
        does(&mut agent, "printf theirs >folder-here && printf theirs >both-folders/old").await;
        both.write("file-here", "mine");
        std::fs::remove_file(both.here.join("folder-here")).unwrap();
        both.write("folder-here/deep/y", "mine");
        std::fs::remove_dir_all(both.here.join("both-folders")).unwrap();
        both.write("both-folders", "mine");
        both.round(&mut session).await;
        let all = ["both-folders", "file-here", "folder-here"];
        let paths: Vec<String> = both.conflicts().into_iter().map(|one| one.path).collect();
        assert_eq!(paths, all, "neither gives way by itself");
        for path in all {
            both.store.answer(&both.here, path, theirs).await.expect("either can be chosen");
        }
        both.round(&mut session).await;
        both.round(&mut session).await;
        assert_eq!(both.conflicts(), [], "nothing is asked any more");
        let mine = [("file-here", "mine"), ("folder-here/deep/y", "mine"), ("both-folders", "mine")];
        let others = [
            ("file-here/deep/x", "theirs"),
            ("folder-here", "theirs"),
            ("both-folders/old", "theirs"),
            ("both-folders/same", "old"),
        ];
        let moved = |path: &str, ending: &str| {
            let (top, below) = path.split_once('/').unwrap_or((path, ""));
            format!("{top}{ending}/{below}").trim_end_matches('/').to_owned()
        };
        let plain = |path: &str| path.to_owned();
        let mut expected: Vec<(String, &str)> = Vec::new();
        if theirs {
            expected.extend(others.map(|(path, text)| (plain(path), text)));
            expected.extend(mine.map(|(path, text)| (moved(path, ".of-this-machine"), text)));
        } else {
            expected.extend(mine.map(|(path, text)| (plain(path), text)));
            let files = others.into_iter().filter(|(path, _)| *path != "folder-here");
            expected.extend(files.map(|(path, text)| (moved(path, ".of-the-container"), text)));
        }
        for (path, text) in expected {
            assert_eq!(both.read(&path).as_deref(), Some(text), "{path} here, theirs: {theirs}");
            assert_eq!(says(&mut agent, &format!("cat '{path}'")).await, format!("{text};"), "{path} there");
        }
        agent.stop.stop().await;
        both.forget(session).await;
    }
}

#[tokio::test]
async fn a_session_that_is_killed_in_the_middle_is_taken_up_three_ways() {
    let both = Both::open(lab::user()).await;
    for number in 0..300 {
        both.write(&format!("folder/{number}"), &format!("{number}"));
    }
    let mut session = both.session().await;
    let first = tokio::time::timeout(Duration::from_millis(150), session.round(&|_| ())).await;
    drop(first);
    drop(session);
    see::until("a dropped session's companion goes", SOON, async || {
        see::containers(Engine::shared(), &both.lab.label()).await.is_empty().then_some(())
    })
    .await;
    let mut session = both.session().await;
    both.round(&mut session).await;
    let mut agent = both.agent(&mut session).await;
    assert_eq!(says(&mut agent, "ls folder | wc -l; cat folder/299").await, "300;299;", "all is there now");
    assert_eq!(both.conflicts(), [], "what was carried before the end is no conflict");

    // Both sides go on while nobody looks.
    drop(session);
    does(&mut agent, "printf theirs >folder/1 && rm folder/2 && printf new >folder/new").await;
    both.write("folder/3", "mine");
    std::fs::remove_file(both.here.join("folder/4")).unwrap();
    let mut session = both.session().await;
    both.round(&mut session).await;
    assert_eq!(both.read("folder/1").as_deref(), Some("theirs"), "their change comes");
    assert_eq!(
        (both.read("folder/2"), both.read("folder/new").as_deref()),
        (None, Some("new")),
        "and removal, and file"
    );
    assert_eq!(says(&mut agent, "cat folder/3; ls folder/4 2>/dev/null").await, "mine;", "and ours go");
    assert_eq!(both.conflicts(), [], "nothing is in conflict");

    // A volume that was removed and made anew is not one in which everything was removed.
    agent.stop.stop().await;
    let volume = session.volumes()[&both.here].clone();
    session.close().await;
    Engine::shared().api().remove_volume(&volume, None::<RemoveVolumeOptions>).await.expect("nobody uses it");
    let mut session = both.session().await;
    both.round(&mut session).await;
    assert_eq!(both.read("folder/1").as_deref(), Some("theirs"), "all is here still");
    let mut agent = both.agent(&mut session).await;
    assert_eq!(says(&mut agent, "ls folder | wc -l").await, "299;", "and there again");

    // Nor is one that was emptied believed.
    does(&mut agent, "rm -rf ./* ./.[!.]*").await;
    let error = session.round(&|_| ()).await.expect_err("everything is gone there");
    assert!(error.to_string().contains("gone in the container"), "{error}");
    assert_eq!(both.read("folder/1").as_deref(), Some("theirs"), "nothing was removed here");
    agent.stop.stop().await;
    both.forget(session).await;
}

#[tokio::test]
async fn nothing_there_can_make_us_write_or_read_outside() {
    let both = Both::open(lab::user()).await;
    let outside = both.lab.folder("outside", both.owner);
    std::fs::write(outside.join("file"), "safe").unwrap();
    both.write("a/x", "old");
    both.write("b", "old");
    // The user's own link leads where it likes.
    symlink(&outside, both.here.join("mine")).unwrap();
    let mut session = both.session().await;
    both.round(&mut session).await;
    let mut agent = both.agent(&mut session).await;
    let target = outside.display();
    does(
        &mut agent,
        &format!("ln -s '{target}' out && ln -s ../.. up && ln -s '{target}/file' outfile && mkfifo pipe"),
    )
    .await;
    does(&mut agent, "printf bad >\"$(printf 'line\\nbreak')\" && printf fine >fine").await;
    // A folder in place of the user's link, with files that would go where that leads.
    does(&mut agent, "rm mine && mkdir mine && printf bad >mine/file && printf bad >mine/new").await;
    both.round(&mut session).await;
    assert_eq!(both.read("fine").as_deref(), Some("fine"), "the others come");
    for name in ["out", "up", "outfile", "pipe"] {
        assert!(std::fs::symlink_metadata(both.here.join(name)).is_err(), "{name} stays there");
    }
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "safe", "what is outside is as it was");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "and nothing is new there");
    assert_eq!(both.read("mine/file").as_deref(), Some("bad"), "the link has become their folder, and nothing else");
    let told = both.told.lock().unwrap().last().cloned();
    let Some(Told::Same { words, .. }) = told else { panic!("it is told") };
    assert!(words.contains("out (it is a link that leads out"), "what was left is named: {words}");

    // A folder that is made into a link here meanwhile: theirs goes nowhere.
    std::fs::remove_dir_all(both.here.join("a")).unwrap();
    symlink(&outside, both.here.join("a")).unwrap();
    does(&mut agent, "printf theirs >a/x && printf theirs >a/file").await;
    both.round(&mut session).await;
    assert_eq!(std::fs::read_to_string(outside.join("file")).unwrap(), "safe", "nothing is written through a link");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1, "nor made behind it");
    let paths: Vec<String> = both.conflicts().into_iter().map(|one| one.path).collect();
    assert_eq!(paths, ["a"], "both have changed it, and the user is asked");
    assert_eq!(says(&mut agent, "cat a/x").await, "theirs;", "theirs is there still");
    agent.stop.stop().await;
    both.forget(session).await;
}

#[tokio::test]
async fn an_agents_last_words_are_here_when_its_end_is_told() {
    let both = Both::open(lab::user()).await;
    both.write("a", "old");
    let mut session = both.session().await;
    both.round(&mut session).await;
    let agent = both.agent(&mut session).await;
    let volumes = session.volumes().clone();
    let told = Arc::clone(&both.told);
    let mut agent = session.follow(agent, move |news| told.lock().unwrap().push(news));
    // While it works, without a word of ours.
    does(&mut agent, "printf during >during").await;
    see::until("it comes back while the agent works", SOON, async || both.read("during")).await;
    both.write("here", "from here");
    let deadline = Instant::now() + SOON;
    while says(&mut agent, "cat here 2>/dev/null").await != "from here;" {
        assert!(Instant::now() < deadline, "and what is written here goes there");
    }
    does(&mut agent, "printf last >last").await;
    let exit = agent.stop.stop().await;
    assert_eq!(exit.unsynced, None, "the last round was done");
    assert_eq!(both.read("last").as_deref(), Some("last"), "what was written last is here by then");
    assert!(both.told.lock().unwrap().contains(&Told::Last), "that it is being brought back was told");
    let left = see::containers(Engine::shared(), &both.lab.label()).await;
    assert!(left.is_empty(), "and nothing is left: {left:?}");
    for volume in volumes.values() {
        Engine::shared().api().remove_volume(volume, None::<RemoveVolumeOptions>).await.expect("nobody uses it");
    }

    // Where the companion is gone, that is told, and nothing is taken for removed.
    let mut session = both.session().await;
    both.round(&mut session).await;
    let agent = both.agent(&mut session).await;
    let mut agent = session.follow(agent, |_| ());
    does(&mut agent, "printf more >more").await;
    cut_off(&both).await;
    let exit = agent.stop.stop().await;
    let failure = exit.unsynced.expect("what it has written last may be missing here");
    assert_eq!(failure.code.as_str(), "sync-failed", "{failure}");
    assert_eq!(both.read("a").as_deref(), Some("old"), "nothing is lost here");
    let mut session = both.session().await;
    both.round(&mut session).await;
    assert_eq!(both.read("more").as_deref(), Some("more"), "and it comes with the next session");
    both.forget(session).await;
}

/// Removes the companion, so that no round can be done any more.
async fn cut_off(both: &Both) {
    for container in see::containers(Engine::shared(), &both.lab.label()).await {
        if container.names.iter().flatten().any(|name| name.ends_with("-sync")) {
            see::remove(Engine::shared(), &container.id.unwrap()).await;
        }
    }
}

#[tokio::test]
async fn what_is_nowhere_else_is_not_cleaned_up() {
    let both = Both::open(lab::user()).await;
    both.write("a", "old");
    let mut session = both.session().await;
    both.round(&mut session).await;
    let volume = session.volumes()[&both.here].clone();
    let agent = both.agent(&mut session).await;
    let mut agent = session.follow(agent, |_| ());
    does(&mut agent, "printf work >work").await;
    cut_off(&both).await;
    assert!(agent.stop.stop().await.unsynced.is_some(), "the last round has failed");
    assert_eq!(both.read("work"), None, "so that there is one copy of it, there");
    let (removed, stayed) = both.clean().await;
    assert!(removed.is_empty() && stayed.len() == 1, "the volume stays: {removed:?}");
    assert!(stayed[0].contains(&both.here.display().to_string()) && stayed[0].contains("only copy"), "{stayed:?}");
    let records = both.lab.folder("home", lab::ids()).join("sync");
    let all = holdings::all(&both.lab.engine).await.unwrap();
    let chosen: Vec<_> = all.into_iter().filter(|one| one.name == volume).collect();
    let pruned = holdings::prune(&both.lab.engine, &chosen, |volume| sync::needed(Some(&records), volume));
    let pruned = pruned.await.unwrap();
    assert_eq!((pruned.removed.len(), pruned.stayed.len()), (0, 1), "nor does it go where the user chooses it");

    // What is not carried, and what both have changed, is there alone as well.
    let mut session = both.session().await;
    both.round(&mut session).await;
    assert_eq!(both.read("work").as_deref(), Some("work"), "the next session has brought it");
    let agent = both.agent(&mut session).await;
    let mut agent = session.follow(agent, |_| ());
    does(&mut agent, "ln -s /etc/hostname out && mkfifo pipe && printf theirs >a").await;
    cut_off(&both).await;
    both.write("a", "mine");
    agent.stop.stop().await;
    for (left, why) in [("the conflict", "a changed on both sides"), ("the link", "out: it is a link that leads out")] {
        let mut session = both.session().await;
        both.round(&mut session).await;
        let agent = both.agent(&mut session).await;
        let agent = session.follow(agent, |_| ());
        assert_eq!(agent.stop.stop().await.unsynced, None, "the last round was done");
        let (removed, stayed) = both.clean().await;
        assert!(removed.is_empty() && stayed.iter().any(|said| said.contains(why)), "{left} is told: {stayed:?}");
        if left == "the conflict" {
            both.store.answer(&both.here, "a", false).await.unwrap();
        }
    }
    let mut session = both.session().await;
    both.round(&mut session).await;
    let agent = both.agent(&mut session).await;
    let mut agent = session.follow(agent, |_| ());
    does(&mut agent, "rm out").await;
    let (removed, _) = both.clean().await;
    assert!(removed.is_empty(), "nothing goes that is used");
    assert_eq!(agent.stop.stop().await.unsynced, None, "the last round was done");
    assert_eq!(both.clean().await, (vec![volume], vec![]), "all is here, but for a pipe, which holds nothing");
}

#[tokio::test]
async fn only_conversations_may_all_be_removed() {
    for (kind, believed) in [(Kind::Project, false), (Kind::Repository, false), (Kind::Conversations, true)] {
        let both = Both { kind, ..Both::open(lab::user()).await };
        both.write("objects/1", "kept");
        both.write("HEAD", "kept");
        let mut session = both.session().await;
        both.round(&mut session).await;
        let mut agent = both.agent(&mut session).await;
        does(&mut agent, "rm -rf ./*").await;
        let done = session.round(&|_| ()).await;
        assert_eq!(done.is_ok(), believed, "{kind:?} emptied there: {done:?}");
        let left = both.read("objects/1").is_some() && both.read("HEAD").is_some();
        assert_eq!(left, !believed, "{kind:?} here is {}", if believed { "emptied too" } else { "what it was" });
        agent.stop.stop().await;
        both.forget(session).await;
    }
}

#[tokio::test]
async fn a_tab_has_one_session_at_a_time() {
    let both = Arc::new(Both::open(lab::user()).await);
    both.write("a", "old");
    let mut first = both.session_of("t1").await;
    let companions = async || {
        let all = see::containers(Engine::shared(), &both.lab.label()).await;
        all.iter().filter(|one| one.names.iter().flatten().any(|name| name.ends_with("-sync"))).count()
    };
    let other = both.session_of("t2").await;
    assert_eq!(companions().await, 2, "another tab has its own");
    other.close().await;
    let (second, again) = (Arc::clone(&both), Arc::clone(&both));
    let second = tokio::spawn(async move { second.session_of("t1").await });
    // Each takes several steps in the companion, while the making of one is two.
    for _ in 0..3 {
        again.round(&mut first).await;
    }
    assert!(!second.is_finished(), "the second waits");
    assert_eq!(companions().await, 1, "and has nothing there yet");
    first.close().await;
    let second = second.await.unwrap();
    assert_eq!(companions().await, 1, "now it is its turn");
    let volume = second.volumes()[&both.here].clone();
    second.close().await;
    Engine::shared().api().remove_volume(&volume, None::<RemoveVolumeOptions>).await.expect("nobody uses it");
}
