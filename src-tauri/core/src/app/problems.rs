//! What went wrong outside any tab and that nobody has dismissed yet. It knows how the same one is recognised, and
//! refuses to know where it came from or who shows it.

use crate::failure::Failure;

/// Names a problem among those of this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProblemId(pub u32);

/// Something that went wrong outside any tab.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name: two problems may well be of one class.
    pub id: ProblemId,
    /// What it is.
    pub failure: Failure,
}

/// The problems that the user has not dismissed, oldest first.
#[derive(Debug, Default)]
pub(super) struct Problems {
    list: Vec<Problem>,
    next: u32,
}

impl Problems {
    /// Adds a problem and names it. One of the same class and cause that still stands is told once.
    pub(super) fn add(&mut self, failure: Failure) -> ProblemId {
        let stands = |known: &&mut Problem| known.failure.code == failure.code && known.failure.cause == failure.cause;
        match self.list.iter_mut().find(stands) {
            // What to do and the log may be newer; its place and its name stay.
            Some(known) => {
                known.failure = failure;
                known.id
            }
            None => {
                let id = ProblemId(self.next);
                self.list.push(Problem { id, failure });
                self.next += 1;
                id
            }
        }
    }

    /// The user has read this one. One that is gone already is none.
    pub(super) fn dismiss(&mut self, id: ProblemId) {
        self.list.retain(|problem| problem.id != id);
    }

    /// Those that stand.
    pub(super) fn list(&self) -> &[Problem] {
        &self.list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Code;

    fn causes(problems: &Problems) -> Vec<&str> {
        problems.list().iter().map(|problem| problem.failure.cause.as_str()).collect()
    }

    fn missing(cause: &str) -> Failure {
        Failure::new(Code::WorkspaceInvalid, "The folder cannot be opened", cause, "Choose another one.")
    }

    #[test]
    fn two_of_one_class_stand_side_by_side_and_go_one_by_one() {
        let mut problems = Problems::default();
        problems.add(missing("/a is not there."));
        problems.add(missing("/b is not there."));
        assert_eq!(causes(&problems), ["/a is not there.", "/b is not there."], "both are told");
        let first = problems.list()[0].id;
        problems.dismiss(first);
        assert_eq!(causes(&problems), ["/b is not there."], "the other stays");
        problems.add(missing("/c is not there."));
        problems.dismiss(first);
        assert_eq!(causes(&problems), ["/b is not there.", "/c is not there."], "a name is never given twice");
    }

    #[test]
    fn the_same_one_is_told_once_and_again_after_it_was_dismissed() {
        let mut problems = Problems::default();
        problems.add(missing("/a is not there."));
        problems.add(missing("/a is not there.").with_detail("newer words"));
        assert_eq!(causes(&problems), ["/a is not there."], "nobody is told twice");
        assert_eq!(problems.list()[0].failure.detail.as_deref(), Some("newer words"), "the latest words stand");
        problems.add(Failure { code: Code::HomeUnusable, ..missing("/a is not there.") });
        assert_eq!(problems.list().len(), 2, "another class is another problem");
        problems.dismiss(problems.list()[0].id);
        problems.add(missing("/a is not there."));
        assert_eq!(problems.list().len(), 2, "what happens again after it was read is told again");
    }
}
