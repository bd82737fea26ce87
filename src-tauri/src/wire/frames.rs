//! What streams to the page: a snapshot first, then changes.

use serde::Serialize;
use ts_rs::TS;

use super::settings::Settings;
use super::tab::{Catalog, TabSummary, TabView};
use super::transcript::{Entry, Failure};

/// What a tab's channel carries. The first frame is a snapshot; the page acknowledges the `seq` of each frame after
/// painting it, and gets the next one then: a slow painter gets larger frames, never a queue.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum TabFrame {
    Snapshot {
        seq: u32,
        tab: Box<TabView>,
        catalog: Catalog,
        /// The newest entries, oldest first.
        entries: Vec<Entry>,
        /// How many older ones there are; `earlier` fetches them.
        earlier: u32,
        /// The build log so far, line by line.
        log: Vec<String>,
    },
    Changes {
        seq: u32,
        changes: Vec<Change>,
        /// When the oldest delta in this frame left the agent, in milliseconds since the Unix epoch; for the bench.
        arrived: Option<f64>,
    },
}

/// One change to what a snapshot said.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum Change {
    /// A new entry at the end.
    Append {
        entry: Entry,
    },
    /// More text at the end of an `assistant` or `thinking` entry, or of a tool's `input`.
    Text {
        id: u32,
        text: String,
    },
    /// The whole entry anew.
    Replace {
        entry: Entry,
    },
    Tab {
        tab: Box<TabView>,
    },
    Catalog {
        catalog: Catalog,
    },
    /// More lines of the build log; with `reset` a new build began.
    Log {
        reset: bool,
        lines: Vec<String>,
    },
}

/// What the window's channel carries.
#[derive(Debug, Clone, Serialize, TS)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", tag = "kind")]
pub(crate) enum WindowFrame {
    /// Everything outside the tabs' pages. Sent at once and whenever any of it changes.
    State(Box<WindowState>),
}

/// Everything outside the tabs' pages.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct WindowState {
    /// In the order of the tab bar.
    pub(crate) tabs: Vec<TabSummary>,
    /// The active tab; none shows the new-tab page.
    pub(crate) active: Option<String>,
    /// Workspaces opened before, newest first.
    pub(crate) recent: Vec<String>,
    pub(crate) settings: Settings,
    /// What went wrong outside any tab, such as settings that could not be read.
    pub(crate) problems: Vec<Problem>,
    /// What the app still does before it ends, where that takes longer than a moment.
    pub(crate) leaving: Option<String>,
    pub(crate) version: String,
    /// True on macOS: shortcuts use Cmd.
    pub(crate) mac: bool,
}

/// Something that went wrong outside any tab.
#[derive(Debug, Clone, PartialEq, Serialize, TS)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Problem {
    /// Names it: two problems may be of one class.
    pub(crate) id: u32,
    pub(crate) failure: Failure,
}
