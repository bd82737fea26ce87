//! The transcript's types.

use gemra_core::agent::{Hunk, Inquiry, InquiryOption, Reply, Wants};
use gemra_core::failure::Failure;
use gemra_core::transcript::{Answer, Ask, Body, Entry, Notice, Tool, ToolStatus, Topic};

use super::milliseconds;
use crate::wire::transcript as wire;

impl From<&Entry> for wire::Entry {
    fn from(entry: &Entry) -> Self {
        let Entry { id, at, streaming, body } = entry;
        Self { id: id.0, at: milliseconds(*at), streaming: *streaming, body: body.into() }
    }
}

impl From<&Body> for wire::Body {
    fn from(body: &Body) -> Self {
        match body {
            Body::User { text, interrupted } => Self::User { text: text.clone(), interrupted: *interrupted },
            Body::Assistant { text } => Self::Assistant { text: text.clone() },
            Body::Thinking { text } => Self::Thinking { text: text.clone() },
            Body::Tool(tool) => Self::Tool(tool.into()),
            Body::Ask(ask) => Self::Ask(ask.into()),
            Body::Notice(notice) => Self::Notice(notice.into()),
            Body::Error { failure, retry } => Self::Error { failure: failure.into(), retry: *retry },
        }
    }
}

impl From<&Tool> for wire::Tool {
    fn from(tool: &Tool) -> Self {
        let Tool { name, summary, input, status, result, truncated, hunks, nested } = tool;
        Self {
            name: name.clone(),
            summary: summary.clone(),
            input: input.clone(),
            status: (*status).into(),
            result: result.clone(),
            truncated: *truncated,
            diff: hunks.as_ref().map(|hunks| hunks.iter().map(Into::into).collect()),
            nested: *nested,
        }
    }
}

impl From<ToolStatus> for wire::ToolStatus {
    fn from(status: ToolStatus) -> Self {
        match status {
            ToolStatus::Pending => Self::Pending,
            ToolStatus::Running => Self::Running,
            ToolStatus::Done => Self::Done,
            ToolStatus::Failed => Self::Failed,
            ToolStatus::Declined => Self::Declined,
            ToolStatus::Interrupted => Self::Interrupted,
        }
    }
}

impl From<&Hunk> for wire::Hunk {
    fn from(hunk: &Hunk) -> Self {
        let Hunk { old_start, new_start, lines } = hunk;
        Self { old_start: *old_start, new_start: *new_start, lines: lines.clone() }
    }
}

impl From<&Ask> for wire::Ask {
    fn from(ask: &Ask) -> Self {
        let Ask { ask, tool, summary, input, always, wants, answer } = ask;
        Self {
            ask: ask.clone(),
            tool: tool.clone(),
            summary: summary.clone(),
            input: input.clone(),
            always: always.clone(),
            wants: wants.into(),
            answer: answer.as_ref().map(Into::into),
        }
    }
}

impl From<&Wants> for wire::Wants {
    fn from(wants: &Wants) -> Self {
        match wants {
            Wants::Leave => Self::Leave,
            Wants::Answers(inquiries) => Self::Answers { inquiries: inquiries.iter().map(Into::into).collect() },
            Wants::Approval { plan } => Self::Approval { plan: plan.clone() },
        }
    }
}

impl From<&Inquiry> for wire::Inquiry {
    fn from(inquiry: &Inquiry) -> Self {
        let Inquiry { question, topic, options, several } = inquiry;
        let options = options.iter().map(|InquiryOption { label, description }| wire::InquiryOption {
            label: label.clone(),
            description: description.clone(),
        });
        Self { question: question.clone(), topic: topic.clone(), options: options.collect(), several: *several }
    }
}

impl From<&Reply> for wire::Reply {
    fn from(reply: &Reply) -> Self {
        let Reply { question, answer } = reply;
        Self { question: question.clone(), answer: answer.clone() }
    }
}

impl From<wire::Reply> for Reply {
    fn from(reply: wire::Reply) -> Self {
        let wire::Reply { question, answer } = reply;
        Self { question, answer }
    }
}

impl From<&Answer> for wire::Answer {
    fn from(answer: &Answer) -> Self {
        match answer {
            Answer::Allowed => Self::Allowed,
            Answer::AllowedAlways => Self::AllowedAlways,
            Answer::Denied { reason } => Self::Denied { reason: reason.clone() },
            Answer::Replied(replies) => Self::Replied { replies: replies.iter().map(Into::into).collect() },
            Answer::Lapsed { reason } => Self::Lapsed { reason: reason.clone() },
        }
    }
}

impl From<&Notice> for wire::Notice {
    fn from(notice: &Notice) -> Self {
        let Notice { topic, text, detail } = notice;
        Self { topic: (*topic).into(), text: text.clone(), detail: detail.clone() }
    }
}

impl From<Topic> for wire::Topic {
    fn from(topic: Topic) -> Self {
        match topic {
            Topic::Host => Self::Host,
            Topic::Container => Self::Container,
            Topic::Interrupted => Self::Interrupted,
            Topic::Info => Self::Info,
            Topic::Warning => Self::Warning,
        }
    }
}

impl From<&Failure> for wire::Failure {
    fn from(failure: &Failure) -> Self {
        let Failure { code, title, cause, action, detail, field } = failure;
        Self {
            code: code.as_str().to_owned(),
            title: title.clone(),
            cause: cause.clone(),
            action: action.clone(),
            detail: detail.clone(),
            field: field.as_deref().map(str::to_owned),
        }
    }
}

impl From<Failure> for wire::Failure {
    fn from(failure: Failure) -> Self {
        (&failure).into()
    }
}
