//! The way down for a process that is to end: a rung of kindness after the other, each with a grace, and all of it
//! shorter where somebody is in a hurry. It knows neither signals nor engines.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::StopRequest;

/// How long before the end of a hurry the end of stdin has had its time.
pub(crate) const AFTER_EOF: Duration = Duration::from_secs(1);
/// How long before it SIGTERM has had its time: what is left then is killed, and needs this to go.
pub(crate) const AFTER_TERM: Duration = Duration::from_millis(500);

/// The requests to end a process, and how much of a hurry they are in.
#[derive(Debug)]
pub(crate) struct Ladder {
    requests: mpsc::UnboundedReceiver<StopRequest>,
    by: Option<Instant>,
}

/// How a rung ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rung<T> {
    /// With what was waited for.
    Ended(T),
    /// Its time is over, and the next one's has come.
    Over,
    /// Nobody wants to wait any more, or nobody is there who could.
    Kill,
}

impl Ladder {
    pub(crate) fn of(requests: mpsc::UnboundedReceiver<StopRequest>) -> Self {
        Self { requests, by: None }
    }

    /// Waits until somebody wants the end: true where it may be a kind one.
    pub(crate) async fn begins(&mut self) -> bool {
        match self.requests.recv().await {
            Some(StopRequest::Ladder) => true,
            Some(StopRequest::By(at)) => {
                self.hurry(at);
                true
            }
            Some(StopRequest::Kill) | None => false,
        }
    }

    /// Waits for `end` for as long as `grace`, and in a hurry no longer than until so long (`before`) before its end.
    pub(crate) async fn rung<T>(
        &mut self,
        mut end: impl Future<Output = T> + Unpin,
        grace: Duration,
        before: Duration,
    ) -> Rung<T> {
        let patience = Instant::now() + grace;
        loop {
            let until = self.by.map_or(patience, |by| patience.min(by.checked_sub(before).unwrap_or(by)));
            tokio::select! {
                ended = &mut end => return Rung::Ended(ended),
                request = self.requests.recv() => match request {
                    // Being asked for kindness once more changes nothing.
                    Some(StopRequest::Ladder) => {}
                    Some(StopRequest::By(at)) => self.hurry(at),
                    Some(StopRequest::Kill) | None => return Rung::Kill,
                },
                () = tokio::time::sleep_until(until) => return Rung::Over,
            }
        }
    }

    /// True where somebody wants the end by a certain time.
    pub(crate) fn hurries(&self) -> bool {
        self.by.is_some()
    }

    fn hurry(&mut self, at: Instant) {
        self.by = Some(self.by.map_or(at, |by| by.min(at)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Longer than a test may take.
    const LONG: Duration = Duration::from_mins(10);
    const SHORT: Duration = Duration::from_millis(100);

    fn ladder(requests: &[StopRequest]) -> (mpsc::UnboundedSender<StopRequest>, Ladder) {
        let (sender, receiver) = mpsc::unbounded_channel();
        for request in requests {
            sender.send(*request).unwrap();
        }
        (sender, Ladder::of(receiver))
    }

    fn never() -> impl Future<Output = ()> + Unpin {
        Box::pin(std::future::pending())
    }

    #[tokio::test]
    async fn a_rung_lasts_as_long_as_its_grace_and_in_a_hurry_less() {
        // By when the end has to come, where somebody says so; first at the beginning, and then on the way.
        let cases = [
            ("kindly", None, None, SHORT),
            ("there is time enough", Some(LONG), None, SHORT),
            ("in a hurry", Some(SHORT * 3), None, LONG),
            ("hurried on the way", None, Some(SHORT * 3), LONG),
            ("there is less of a hurry later", Some(SHORT * 3), Some(LONG * 2), LONG),
            ("too late", Some(Duration::ZERO), None, LONG),
        ];
        for (why, first, later, grace) in cases {
            let began = Instant::now();
            let request = |by: Option<Duration>| by.map_or(StopRequest::Ladder, |by| StopRequest::By(began + by));
            let (_sender, mut ladder) = ladder(&[request(first), request(later)]);
            assert!(ladder.begins().await, "{why}: a kind end is wanted");
            assert_eq!(ladder.rung(never(), grace, SHORT).await, Rung::Over, "{why}: it has its time");
            assert!(began.elapsed() < LONG, "{why}: and no more");
            let least = if why == "too late" { Duration::ZERO } else { SHORT };
            assert!(began.elapsed() >= least, "{why}: nor less: {:?}", began.elapsed());
        }
    }

    #[tokio::test]
    async fn a_kill_is_at_once() {
        let (_sender, mut first) = ladder(&[StopRequest::Kill]);
        assert!(!first.begins().await, "nobody asked for kindness");
        let (_sender, mut later) = ladder(&[StopRequest::Ladder, StopRequest::Kill]);
        assert!(later.begins().await, "it began kindly");
        assert_eq!(later.rung(never(), LONG, SHORT).await, Rung::Kill, "and ends so, without waiting");
        let (sender, mut left) = ladder(&[StopRequest::Ladder]);
        assert!(left.begins().await, "it began kindly");
        drop(sender);
        assert_eq!(left.rung(never(), LONG, SHORT).await, Rung::Kill, "nobody is left who would wait");
    }
}
