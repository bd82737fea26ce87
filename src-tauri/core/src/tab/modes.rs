//! Which permission mode the agent of a tab has in each place: what was chosen there in this tab, else what the settings
//! wish for it, else that it asks. What was chosen in one place says nothing about the other: whoever lets the agent edit
//! files in a container has not said that it may on the host. It may act without asking in a container alone.

use crate::agent::Mode;
use crate::place::Place;
use crate::settings::container::Wishes;

/// The mode that was last in use in each place, where one was chosen there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Modes {
    host: Option<Mode>,
    container: Option<Mode>,
}

impl Modes {
    /// A mode is in use at a place because somebody has chosen it there.
    pub(super) fn choose(&mut self, place: Place, mode: Mode) {
        *match place {
            Place::Host => &mut self.host,
            Place::Container => &mut self.container,
        } = Some(mode);
    }

    /// The mode of an agent that begins at `place`.
    pub(super) fn at(self, place: Place, wishes: &Wishes) -> Mode {
        let (chosen, preset) = match place {
            Place::Host => (self.host, wishes.host_mode),
            Place::Container => (self.container, wishes.container_mode),
        };
        let may = |mode: &Mode| place == Place::Container || *mode != Mode::BypassPermissions;
        chosen.filter(may).or(preset.filter(may)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Option<Mode> = None;

    #[test]
    fn each_place_has_its_own() {
        use Mode::{AcceptEdits, BypassPermissions, Default, Plan};
        let cases = [
            ("nothing is said inside: it asks", Place::Container, NONE, NONE, Default),
            ("nor on the host", Place::Host, NONE, NONE, Default),
            ("the settings' mode", Place::Container, NONE, Some(AcceptEdits), AcceptEdits),
            ("the user's own comes first", Place::Container, Some(Plan), Some(AcceptEdits), Plan),
            ("also where it is to ask", Place::Container, Some(Default), Some(BypassPermissions), Default),
            ("never ask is for a container", Place::Container, NONE, Some(BypassPermissions), BypassPermissions),
            ("the settings' mode of the host", Place::Host, NONE, Some(AcceptEdits), AcceptEdits),
            ("whoever wrote it by hand", Place::Host, NONE, Some(BypassPermissions), Default),
            ("and whoever chose it", Place::Host, Some(BypassPermissions), NONE, Default),
            ("what was chosen on the host", Place::Host, Some(Plan), Some(AcceptEdits), Plan),
        ];
        for (why, place, chosen, wished, expected) in cases {
            let mut modes = Modes::default();
            if let Some(mode) = chosen {
                modes.choose(place, mode);
            }
            let wishes = match place {
                Place::Host => Wishes { host_mode: wished, ..Wishes::default() },
                Place::Container => Wishes { container_mode: wished, ..Wishes::default() },
            };
            assert_eq!(modes.at(place, &wishes), expected, "{why}");
        }
    }

    #[test]
    fn what_is_said_for_one_place_says_nothing_about_the_other() {
        for mode in [Mode::AcceptEdits, Mode::Plan, Mode::BypassPermissions] {
            for (place, other) in [(Place::Container, Place::Host), (Place::Host, Place::Container)] {
                let mut modes = Modes::default();
                modes.choose(place, mode);
                assert_eq!(modes.at(other, &Wishes::default()), Mode::Default, "{mode:?} was chosen at {place:?}");
                let wishes = match place {
                    Place::Host => Wishes { host_mode: Some(mode), ..Wishes::default() },
                    Place::Container => Wishes { container_mode: Some(mode), ..Wishes::default() },
                };
                assert_eq!(Modes::default().at(other, &wishes), Mode::Default, "{mode:?} is wished at {place:?}");
            }
        }
    }

    #[test]
    fn each_place_keeps_what_was_chosen_there() {
        let mut modes = Modes::default();
        modes.choose(Place::Container, Mode::BypassPermissions);
        modes.choose(Place::Host, Mode::Plan);
        let wishes = Wishes::default();
        assert_eq!(modes.at(Place::Host, &wishes), Mode::Plan, "back on the host");
        assert_eq!(modes.at(Place::Container, &wishes), Mode::BypassPermissions, "and inside again");
    }
}
