//! Failures of the network, which pass: by what words they are known, and how often and when it is tried again. It
//! does not know what is tried.

use std::time::Duration;

use super::error::ImageError;
use super::shared::Told;

/// How long it is waited before each further try.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];
/// How many of a log's last lines are looked at for why a command failed.
const LINES: usize = 12;

/// Words of engines, of Go's network library, and of the tools that Dockerfiles fetch with. In small letters.
const WORDS: &[&str] = &[
    // Engines.
    "no such host",
    "connection refused",
    "connection reset by peer",
    "i/o timeout",
    "tls handshake timeout",
    "server misbehaving",
    "network is unreachable",
    "no route to host",
    "request canceled while waiting for connection",
    "context deadline exceeded",
    "unexpected eof",
    "500 internal server error",
    "502 bad gateway",
    "503 service unavailable",
    "504 gateway time",
    "received unexpected http status: 5",
    "no active session",
    // apt, curl, git.
    "temporary failure resolving",
    "temporary failure in name resolution",
    "could not resolve host",
    "could not connect to server",
    "failed to connect to",
    "connection timed out",
    "operation timed out",
    "hash sum mismatch",
    // npm, pip.
    "eai_again",
    "etimedout",
    "econnreset",
    "econnrefused",
    "err_socket_timeout",
    "read timed out",
    "newconnectionerror",
    "connecttimeouterror",
];

/// Tries of one thing.
#[derive(Debug)]
pub(super) struct Tries {
    failed: usize,
    pauses: [Duration; 3],
}

impl Default for Tries {
    fn default() -> Self {
        Self { failed: 0, pauses: PAUSES }
    }
}

impl Tries {
    /// After a failure: waits, and gives true where it should be tried again, which is three times at most and only
    /// where the network failed.
    pub(super) async fn go_on(&mut self, error: &ImageError, told: &Told) -> bool {
        let Some(pause) = self.pauses.get(self.failed).copied().filter(|_| is_of_the_network(error)) else {
            return false;
        };
        self.failed += 1;
        told.say(&format!("{error}."));
        told.say(&format!("The network failed. Trying again in {pause:?} ({} of {}).", self.failed, self.pauses.len()));
        tokio::time::sleep(pause).await;
        true
    }
}

/// True where the same again may well succeed.
pub(super) fn is_of_the_network(error: &ImageError) -> bool {
    match error {
        ImageError::BaseUnreachable { cause, .. } | ImageError::NoFrontend { cause, .. } => says_so(cause),
        ImageError::BuildFailed { cause, tail, .. } => {
            let last: Vec<&str> = tail.lines().rev().take(LINES).collect();
            says_so(cause) || last.iter().any(|line| says_so(line))
        }
        _ => false,
    }
}

fn says_so(text: &str) -> bool {
    let text = text.to_lowercase();
    WORDS.iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_is_tried_again() {
        let base = |cause: &str| ImageError::BaseUnreachable { base: "b".to_owned(), cause: cause.to_owned() };
        let step = |tail: &str| ImageError::BuildFailed {
            index: 1,
            total: 2,
            instruction: "RUN x".to_owned(),
            code: Some(100),
            cause: "The command '/bin/sh -c x' returned a non-zero code: 100".to_owned(),
            tail: tail.to_owned(),
        };
        let cases = [
            (base("Get \"https://registry-1.example/v2/\": dial tcp: lookup registry-1.example: no such host"), true),
            (base("dial tcp 127.0.0.1:5000: connect: connection refused"), true),
            (base("received unexpected HTTP status: 503 Service Unavailable"), true),
            (base("net/http: TLS handshake timeout"), true),
            (base("manifest for b:1 not found: manifest unknown"), false),
            (base("pull access denied for b, repository does not exist or may require 'docker login'"), false),
            (base("unauthorized: authentication required"), false),
            (step("Err:1 http://deb.example bookworm InRelease\n  Temporary failure resolving 'deb.example'"), true),
            (step("npm error code EAI_AGAIN"), true),
            (step("ReadTimeoutError: Read timed out."), true),
            (step("make: *** [all] Error 2"), false),
            (step(&format!("npm error code EAI_AGAIN\n{}", "later\n".repeat(LINES))), false),
            (ImageError::DiskFull { cause: "connection refused".to_owned() }, false),
            (ImageError::Cancelled, false),
        ];
        for (error, again) in cases {
            assert_eq!(is_of_the_network(&error), again, "{error:?}");
        }
    }

    #[tokio::test]
    async fn it_is_tried_three_times_more_and_longer_each_time() {
        let failing = |cause: &str| ImageError::BaseUnreachable { base: "b".to_owned(), cause: cause.to_owned() };
        let told = Told::default();
        assert!(PAUSES.is_sorted(), "each pause is longer than the one before");
        let mut tries = Tries { pauses: [Duration::from_millis(1); 3], ..Tries::default() };
        let mut more = 0;
        while tries.go_on(&failing("connection refused"), &told).await {
            more += 1;
        }
        assert_eq!(more, 3, "three more tries");
        let (lines, _) = told.log.after(0);
        assert!(lines.iter().any(|line| line.contains("(2 of 3)")), "each is told: {lines:?}");
        assert!(!Tries::default().go_on(&failing("manifest unknown"), &told).await, "what does not pass is given up");
    }
}
