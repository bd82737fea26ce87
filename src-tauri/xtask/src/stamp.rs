//! Remembers, in a small file under the target folder, what a step was last done with, so that it is done again exactly
//! when its inputs have changed. It compares contents, not times: a fresh checkout or a copied tree makes no difference.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use crate::tree::Tree;
use crate::trouble::Trouble;

/// The memory of one step.
#[derive(Debug)]
pub(crate) struct Stamp {
    file: PathBuf,
    wanted: String,
}

impl Stamp {
    /// A step's stamp. `inputs` are files and folders; those named in `except` are passed over inside the folders, at any depth.
    pub(crate) fn of(tree: &Tree, step: &str, inputs: &[PathBuf], except: &[&str]) -> Result<Self, Trouble> {
        // A changed hasher in a later toolchain costs one needless step, so the standard one is enough.
        let mut hasher = DefaultHasher::new();
        for input in inputs {
            hash_path(input, except, &mut hasher)?;
        }
        let file = tree.target.join("xtask").join(format!("{step}.stamp"));
        Ok(Self { file, wanted: format!("{:016x}", hasher.finish()) })
    }

    /// True if the step was done with these very inputs.
    pub(crate) fn is_current(&self) -> bool {
        // A stamp that cannot be read is no stamp: the step is done again, which is never wrong.
        fs::read_to_string(&self.file).is_ok_and(|found| found == self.wanted)
    }

    /// Says that the step has been done.
    pub(crate) fn set(&self) -> Result<(), Trouble> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).map_err(Trouble::files(folder))?;
        }
        fs::write(&self.file, &self.wanted).map_err(Trouble::files(&self.file))
    }
}

fn hash_path(path: &Path, except: &[&str], hasher: &mut DefaultHasher) -> Result<(), Trouble> {
    path.file_name().unwrap_or_default().hash(hasher);
    if path.is_dir() {
        let listed = fs::read_dir(path).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
        let mut inside: Vec<PathBuf> = listed.map_err(Trouble::files(path))?;
        inside.retain(|entry| !except.iter().any(|skipped| entry.ends_with(skipped)));
        inside.sort();
        inside.len().hash(hasher);
        inside.iter().try_for_each(|entry| hash_path(entry, except, hasher))
    } else {
        fs::read(path).map_err(Trouble::files(path))?.hash(hasher);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_holds_until_an_input_changes() {
        let root = std::env::temp_dir().join(format!("gemra-xtask-stamp-{}", std::process::id()));
        let tree = Tree { root: root.clone(), target: root.join("target") };
        let sources = root.join("sources");
        fs::create_dir_all(&sources).expect("a temp folder can be made");
        fs::write(sources.join("a.ts"), "one").expect("a temp file can be written");
        let stamp = || Stamp::of(&tree, "page", std::slice::from_ref(&sources), &["node_modules"]).expect("readable");

        assert!(!stamp().is_current(), "nothing was done yet");
        stamp().set().expect("the target folder can be made");
        assert!(stamp().is_current(), "nothing has changed since");
        fs::create_dir(sources.join("node_modules")).expect("a temp folder can be made");
        fs::write(sources.join("node_modules/b.js"), "x").expect("a temp file can be written");
        assert!(stamp().is_current(), "what is excepted does not count");
        fs::write(sources.join("a.ts"), "two").expect("a temp file can be written");
        assert!(!stamp().is_current(), "a changed file counts");
        fs::write(sources.join("a.ts"), "one").expect("a temp file can be written");
        fs::rename(sources.join("a.ts"), sources.join("c.ts")).expect("a temp file can be renamed");
        assert!(!stamp().is_current(), "a renamed file counts");

        fs::remove_dir_all(&root).expect("the temp folder is ours");
    }
}
