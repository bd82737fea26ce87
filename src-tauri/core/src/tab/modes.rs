//! Which permission mode the agent of a tab has in each place: what the user has chosen there in this tab, else what
//! the settings wish for it, else what it had before it moved. It may act without asking in a container alone.

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

    /// The mode of an agent that begins at `place`, `now` being the one in use.
    pub(super) fn at(self, place: Place, wishes: &Wishes, now: Mode) -> Mode {
        let (chosen, preset) = match place {
            Place::Host => (self.host, wishes.host_mode),
            Place::Container => (self.container, wishes.container_mode),
        };
        let asks = |mode: &Mode| *mode != Mode::BypassPermissions;
        match place {
            Place::Container => chosen.or(preset).or(Some(now).filter(asks)),
            Place::Host => chosen.filter(asks).or(preset.filter(asks)).or(Some(now).filter(asks)),
        }
        .unwrap_or_default()
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
            ("nothing is said: what there was goes along", Place::Container, NONE, NONE, Plan, Plan),
            ("the settings' mode", Place::Container, NONE, Some(AcceptEdits), Plan, AcceptEdits),
            ("the user's own comes first", Place::Container, Some(Plan), Some(AcceptEdits), Default, Plan),
            (
                "never ask is for a container",
                Place::Container,
                NONE,
                Some(BypassPermissions),
                Default,
                BypassPermissions,
            ),
            ("it stays behind on the way back", Place::Host, NONE, NONE, BypassPermissions, Default),
            ("the host has its own then", Place::Host, NONE, Some(AcceptEdits), BypassPermissions, AcceptEdits),
            ("whoever wrote it by hand", Place::Host, NONE, Some(BypassPermissions), Plan, Plan),
            ("and whoever chose it", Place::Host, Some(BypassPermissions), NONE, BypassPermissions, Default),
            ("what was chosen on the host", Place::Host, Some(Plan), Some(AcceptEdits), BypassPermissions, Plan),
        ];
        for (why, place, chosen, wished, now, expected) in cases {
            let mut modes = Modes::default();
            if let Some(mode) = chosen {
                modes.choose(place, mode);
            }
            let wishes = match place {
                Place::Host => Wishes { host_mode: wished, ..Wishes::default() },
                Place::Container => Wishes { container_mode: wished, ..Wishes::default() },
            };
            assert_eq!(modes.at(place, &wishes, now), expected, "{why}");
        }
    }

    #[test]
    fn what_is_chosen_in_one_place_is_not_chosen_in_the_other() {
        let mut modes = Modes::default();
        modes.choose(Place::Container, Mode::BypassPermissions);
        modes.choose(Place::Host, Mode::Plan);
        let wishes = Wishes::default();
        assert_eq!(modes.at(Place::Host, &wishes, Mode::BypassPermissions), Mode::Plan, "back on the host");
        assert_eq!(modes.at(Place::Container, &wishes, Mode::Plan), Mode::BypassPermissions, "and inside again");
    }
}
