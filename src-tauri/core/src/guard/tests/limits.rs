//! More than anybody wants to read, names that are no text, and folders that say nothing.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn a_huge_file_is_told_quickly() {
    let (_folder, project, store) = workspace();
    let file = project.join(".envrc");
    fs::File::create(&file).unwrap().set_len(30 << 30).unwrap();
    let began = Instant::now();
    let changes = check(&store, &project, true);
    assert!(began.elapsed() < Duration::from_secs(20), "it is not read whole: {:?}", began.elapsed());
    assert_eq!(names(&changes, &project), [".envrc"]);
    assert!(changes[0].note.as_deref().unwrap().contains("32212254720 bytes"), "{changes:?}");
    let (left, aside) = says(&store, &project, false, None, true);
    assert!(left.is_empty() && !file.exists(), "{left:?}");
    assert_eq!(fs::metadata(aside.unwrap().join("0/.envrc")).unwrap().len(), 30 << 30, "and it is put aside");
    fs::File::create(&file).unwrap().set_len(30 << 30).unwrap();
    says(&store, &project, true, None, true);
    assert!(check(&store, &project, true).is_empty(), "it is the same that was kept");
    let writer = fs::OpenOptions::new().write(true).open(&file).unwrap();
    std::os::unix::fs::FileExt::write_at(&writer, b"evil", 20 << 30).unwrap();
    assert_eq!(check(&store, &project, true).len(), 1, "what is written where nobody reads is told as well");
}

#[test]
fn many_files_are_told_without_reading_them_all() {
    let (_folder, project, store) = workspace();
    for number in 0..150 {
        let path = project.join(format!(".husky/{number}"));
        put(&path, "");
        fs::File::options().write(true).open(&path).unwrap().set_len(1 << 20).unwrap();
    }
    let changes = check(&store, &project, true);
    assert_eq!(changes.len(), 150, "each is told");
    let text: usize =
        changes.iter().flat_map(|change| &change.hunks).flat_map(|hunk| &hunk.lines).map(String::len).sum();
    assert!(text <= 3 << 20, "no window could show more: {text}");
}

#[test]
fn what_a_pipe_or_a_name_without_text_hides_is_told() {
    use std::os::unix::ffi::OsStrExt as _;

    let (_folder, project, store) = workspace();
    let odd = project.join(".husky").join(std::ffi::OsStr::from_bytes(b"\xff"));
    put(&odd, "evil\n");
    symlink(std::ffi::OsStr::from_bytes(b"/\xfe"), project.join(".mcp.json")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, project.join(".envrc"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    assert_eq!(check(&store, &project, true).len(), 3, "each of them");
    says(&store, &project, true, None, true);
    assert!(check(&store, &project, true).is_empty(), "and each can be kept");
    let again = Store::new(project.with_file_name("guard"));
    assert!(check(&again, &project, true).is_empty(), "over a restart too");
}

#[test]
fn a_folder_that_cannot_be_listed_is_told() {
    let (_folder, project, store) = workspace();
    // Deeper than any path can say, as a container can make it step by step.
    let mut folder = rustix::fs::open(&project, rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    let name = "deep".repeat(50);
    for _ in 0..25 {
        rustix::fs::mkdirat(&folder, &name, 0o755.into()).unwrap();
        folder = rustix::fs::openat(&folder, &name, rustix::fs::OFlags::DIRECTORY, 0.into()).unwrap();
    }
    let changes = check(&store, &project, true);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert!(changes[0].path.starts_with(&project) && changes[0].path.as_os_str().len() > 4000, "{changes:?}");
    assert!(changes[0].note.as_deref().unwrap().contains("cannot be listed"), "{changes:?}");
    says(&store, &project, true, None, false);
    assert!(!store.knows(&project), "it can be kept");
}

#[test]
fn a_folder_that_may_be_entered_and_not_listed_is_told() {
    let (_folder, project, _store) = workspace();
    let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
    let told = look::without_listing(&project, &project.join("src"), &denied);
    assert!(matches!(told.get(&project.join("src")), Some(Kept::Unseen { .. })), "{told:?}");
    let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
    assert!(look::without_listing(&project, &project.join("src"), &gone).is_empty(), "what is gone is no question");
}

#[test]
fn what_lies_beyond_the_limit_is_told_each_time_and_can_be_kept() {
    let (_folder, project, store) = workspace();
    // Nothing is below those that are passed over.
    look::limit_to(4);
    let unseen = |changes: &[Change]| names(changes, &project);
    look::limit_to(3);
    for number in 0..5 {
        fs::create_dir_all(project.join(number.to_string())).unwrap();
    }
    let changes = check(&store, &project, true);
    let project_itself = project.display().to_string();
    assert!(changes.iter().any(|change| change.path == project && change.note.is_some()), "{:?}", unseen(&changes));
    let answer = Answer { keep: false, path: Some(project.clone()) };
    let error = store.answer(&project, &changes, &answer, |_| true).unwrap_err();
    assert!(error.to_string().contains(&project_itself), "nothing can be brought back: {error}");
    says(&store, &project, true, None, false);
    assert!(!store.knows(&project), "it was kept");
    begin(&store, &project);
    assert!(!check(&store, &project, false).is_empty(), "the next container is asked about anew");
}
