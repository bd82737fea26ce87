//! The user is asked whether a project may have what it asks for. The state stays Building, which has no time limit of
//! its own: nothing of the container happens before the answer. What is asked is not judged here.

use super::actor::Actor;
use crate::container::state::{Event, State};
use crate::trust::{Decision, Question, Reply};

impl Actor {
    pub(super) fn asks_for_trust(&mut self, question: Question, reply: Reply) {
        self.flip.waits_for("Waiting for you to say what the project may");
        self.flip.asks = Some((question, reply));
    }

    pub(super) fn on_answer_trust(&mut self, decision: Decision) {
        // An answer to what nobody asks any more is late.
        let Some((_, reply)) = self.flip.asks.take() else { return };
        match decision {
            // The same as a click on the button: back to where the agent was.
            Decision::Refuse if matches!(self.flip.state(), State::Building { .. }) => self.drive(Event::Click),
            decision => {
                self.flip.waits_for("Going on with your answer");
                reply.say(decision);
            }
        }
    }
}
