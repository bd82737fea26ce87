//! What streams.

use gemra_core::stream::{Change, Frame, Snapshot};
use gemra_core::transcript::Patch;

use super::milliseconds;
use crate::wire::frames as wire;

impl From<Frame> for wire::TabFrame {
    fn from(frame: Frame) -> Self {
        match frame {
            Frame::Snapshot(snapshot) => {
                let Snapshot { seq, view, offer, entries, earlier, log } = *snapshot;
                Self::Snapshot {
                    seq,
                    tab: Box::new((&view).into()),
                    catalog: (&offer).into(),
                    entries: entries.iter().map(Into::into).collect(),
                    earlier,
                    log,
                }
            }
            Frame::Changes { seq, changes, arrived } => Self::Changes {
                seq,
                changes: changes.into_iter().map(Into::into).collect(),
                arrived: arrived.map(milliseconds),
            },
        }
    }
}

impl From<Change> for wire::Change {
    fn from(change: Change) -> Self {
        match change {
            Change::Patch(Patch::Append(entry)) => Self::Append { entry: (&entry).into() },
            // When it arrived is said once for the whole frame.
            Change::Patch(Patch::Text { id, text, at: _ }) => Self::Text { id: id.0, text },
            Change::Patch(Patch::Replace(entry)) => Self::Replace { entry: (&entry).into() },
            Change::View(view) => Self::Tab { tab: Box::new((&*view).into()) },
            Change::Offer(offer) => Self::Catalog { catalog: (&offer).into() },
            Change::Log { reset, lines } => Self::Log { reset, lines },
        }
    }
}
