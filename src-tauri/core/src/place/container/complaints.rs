//! What a container's agent says on stderr, handed on to the tab's log while it is said. It does not look into it.

use tokio::sync::mpsc::UnboundedReceiver;

use super::News;

/// What stands before each line, since the log holds the build's, too.
const MARK: &str = "agent: ";
/// How many lines are handed on at once. A flood of them must not become a flood of news.
const BATCH: usize = 1000;

/// Hands the lines on as they come. It ends with the container, whose stream they are of.
pub(super) fn hand_on(errors: Option<UnboundedReceiver<String>>, news: impl Fn(News) + Send + Sync + 'static) {
    let Some(mut errors) = errors else { return };
    tokio::spawn(async move {
        let mut said = Vec::new();
        while errors.recv_many(&mut said, BATCH).await > 0 {
            let lines = said.drain(..).map(|line| format!("{MARK}{line}")).collect();
            news(News::Log { reset: false, lines });
        }
    });
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn every_line_arrives_marked_and_in_order() {
        let (errors, receiver) = mpsc::unbounded_channel();
        let (sender, mut told) = mpsc::unbounded_channel();
        hand_on(Some(receiver), move |news| drop(sender.send(news)));
        let said: Vec<String> = (0..=2 * BATCH).map(|number| format!("line {number}")).collect();
        for line in &said {
            errors.send(line.clone()).unwrap();
        }
        drop(errors);
        let mut heard = Vec::new();
        while let Some(news) = told.recv().await {
            let News::Log { reset: false, lines } = news else { panic!("it adds to the log: {news:?}") };
            assert!(lines.len() <= BATCH, "many lines come in several news");
            heard.extend(lines);
        }
        let expected: Vec<String> = said.iter().map(|line| format!("agent: {line}")).collect();
        assert_eq!(heard, expected, "none is lost, and it ends with the container");
    }
}
