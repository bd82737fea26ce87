//! What `BuildKit` says while it builds, in the classic builder's terms: numbered steps and lines. It works on many
//! things at once, and names each thing's steps for itself; here they are counted together.

use bollard::moby::buildkit::v1::StatusResponse;

use super::progress::Step;

/// What is made of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// A step has begun.
    Step(Step),
    /// Text as it comes, with its newlines.
    Text(String),
    /// A line for the log.
    Line(String),
    /// How far something is: shown, not kept.
    Status(String, i64, i64),
}

/// What is known of the work so far.
#[derive(Debug, Default)]
pub(super) struct Vertices {
    known: Vec<Vertex>,
}

#[derive(Debug)]
struct Vertex {
    digest: String,
    name: String,
    /// The instruction, where it is one of the Dockerfile's.
    instruction: Option<String>,
    begun: bool,
    done: bool,
    failed: bool,
}

impl Vertices {
    pub(super) fn take(&mut self, status: &StatusResponse) -> Vec<Said> {
        let mut said = Vec::new();
        for vertex in &status.vertexes {
            let at = self.find(&vertex.digest, &vertex.name);
            if vertex.started.is_some() && !self.known[at].begun {
                self.known[at].begun = true;
                let name = self.known[at].name.clone();
                said.push(Said::Line(if vertex.cached { format!("{name} (cached)") } else { name }));
                if let Some(instruction) = self.known[at].instruction.clone() {
                    said.push(Said::Step(self.step(instruction)));
                }
            }
            if vertex.completed.is_some() && !self.known[at].done {
                self.known[at].done = true;
            }
            if !vertex.error.is_empty() && !self.known[at].failed {
                self.known[at].failed = true;
                said.push(Said::Line(format!("{}: {}", self.known[at].name, vertex.error)));
            }
        }
        for status in status.statuses.iter().filter(|status| status.total > 0) {
            said.push(Said::Status(status.id.clone(), status.current, status.total));
        }
        said.extend(status.logs.iter().map(|log| Said::Text(String::from_utf8_lossy(&log.msg).into_owned())));
        for warning in &status.warnings {
            said.push(Said::Line(format!("Warning: {}", String::from_utf8_lossy(&warning.short))));
        }
        said
    }

    /// The name of what failed, or of what has begun and not ended.
    pub(super) fn blamed(&self) -> Option<&str> {
        let failed = self.known.iter().find(|vertex| vertex.failed);
        let open = || self.known.iter().rev().find(|vertex| vertex.begun && !vertex.done);
        failed.or_else(open).map(|vertex| vertex.name.as_str())
    }

    /// The step that failed, where it was one of the Dockerfile's.
    pub(super) fn failed_step(&self) -> Option<Step> {
        let numbered = self.known.iter().filter(|vertex| vertex.instruction.is_some());
        let at = numbered.clone().position(|vertex| vertex.failed)?;
        let instruction = numbered.clone().nth(at)?.instruction.clone()?;
        Some(Step { index: count(at + 1), total: count(numbered.count()), instruction })
    }

    fn find(&mut self, digest: &str, name: &str) -> usize {
        self.known.iter().position(|known| known.digest == digest).unwrap_or_else(|| {
            let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
            let instruction = instruction(&name);
            let digest = digest.to_owned();
            self.known.push(Vertex { digest, name, instruction, begun: false, done: false, failed: false });
            self.known.len() - 1
        })
    }

    fn step(&self, instruction: String) -> Step {
        let numbered = self.known.iter().filter(|vertex| vertex.instruction.is_some());
        let index = numbered.clone().filter(|vertex| vertex.begun).count();
        Step { index: count(index), total: count(numbered.count()), instruction }
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// `RUN make` of `[build 2/3] RUN make`; none of `[internal] load build context`.
fn instruction(name: &str) -> Option<String> {
    let (place, instruction) = name.strip_prefix('[')?.split_once("] ")?;
    let (index, total) = place.rsplit(' ').next()?.split_once('/')?;
    let numbers = index.parse::<u32>().is_ok() && total.parse::<u32>().is_ok();
    numbers.then(|| instruction.to_owned())
}

#[cfg(test)]
mod tests {
    use bollard::moby::buildkit::v1::{Vertex as Wire, VertexLog, VertexStatus};

    use super::*;

    fn vertex(digest: &str, name: &str, started: bool, error: &str) -> Wire {
        // The time itself does not matter, only whether there is one.
        let started = started.then(Default::default);
        Wire { digest: digest.to_owned(), name: name.to_owned(), started, error: error.to_owned(), ..Wire::default() }
    }

    #[test]
    fn steps_are_counted_over_all_stages_and_lines_are_told() {
        let mut vertices = Vertices::default();
        let first = StatusResponse {
            vertexes: vec![
                vertex("a", "[internal] load build definition from Dockerfile.claude", true, ""),
                vertex("b", "[build 1/2] FROM docker.io/library/x", true, ""),
                vertex("c", "[build 2/2] RUN  make", false, ""),
                vertex("d", "[stage-1 1/1] COPY --from=build /x /x", false, ""),
            ],
            ..StatusResponse::default()
        };
        let said = vertices.take(&first);
        let from = Step { index: 1, total: 2, instruction: "FROM docker.io/library/x".to_owned() };
        assert!(
            said.contains(&Said::Step(from))
                || said.iter().any(|said| matches!(said, Said::Step(step) if step.index == 1)),
            "the first step: {said:?}"
        );
        let second = StatusResponse {
            vertexes: vec![vertex("c", "[build 2/2] RUN  make", true, "")],
            statuses: vec![VertexStatus { id: "layer".to_owned(), current: 5, total: 10, ..VertexStatus::default() }],
            logs: vec![VertexLog { msg: b"hello\nwor".to_vec(), ..VertexLog::default() }],
            ..StatusResponse::default()
        };
        assert_eq!(
            vertices.take(&second),
            [
                Said::Line("[build 2/2] RUN make".to_owned()),
                Said::Step(Step { index: 2, total: 3, instruction: "RUN make".to_owned() }),
                Said::Status("layer".to_owned(), 5, 10),
                Said::Text("hello\nwor".to_owned()),
            ],
            "a step that begins, how far a layer is, and what a command says"
        );
        assert_eq!(vertices.take(&second).len(), 2, "what has begun does not begin again");
        let failed = StatusResponse {
            vertexes: vec![vertex("c", "[build 2/2] RUN make", true, "exit code: 2")],
            ..StatusResponse::default()
        };
        assert_eq!(vertices.take(&failed), [Said::Line("[build 2/2] RUN make: exit code: 2".to_owned())], "an error");
        assert_eq!(vertices.blamed(), Some("[build 2/2] RUN make"), "it is to blame");
        let step = Step { index: 2, total: 3, instruction: "RUN make".to_owned() };
        assert_eq!(vertices.failed_step(), Some(step), "with its number and instruction");
    }
}
