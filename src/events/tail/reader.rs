//! One reader of the tail (floor 2): looks, and hands over what it found.
//!
//! What must stay true: at most two looks' worth of events is held for a reader, one on its way and one in hand; who takes
//! nothing for as long as it may is let go and counted. A look that fails changes nothing but what is told: the next one
//! goes on from the same position. Started by [`super::Tails`]; ends by itself when the other side is gone.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use super::look::{Look, look};
use super::{After, Shared, State, Told, What};
use crate::clock::{self, epoch_ms};
use crate::db::{DbError, Operation};
use crate::events::query::Filter;

/// New events are gathered for so long, so that few looks serve many of them.
const GATHER: Duration = Duration::from_millis(50);
/// Between looks when nobody says that something was stored: what an unknown commit left is found by them.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A sign of life is given at least so often.
const SIGN_EVERY: Duration = Duration::from_secs(10);

/// A reader's side of the tail.
pub(super) struct Reader {
    pub shared: Arc<Shared>,
    pub filter: Arc<Filter>,
    pub after: After,
    pub to: mpsc::Sender<Vec<Told>>,
    /// Something was stored.
    pub stored: watch::Receiver<()>,
    /// The largest removed number that it heard of.
    pub heard_removed: i64,
    /// The state that it knows.
    pub heard: Option<State>,
    /// Called when the other side is too slow.
    pub let_go: Option<Box<dyn FnOnce() + Send + Sync>>,
    /// Its seat, given back at its end.
    pub _seat: OwnedSemaphorePermit,
}

impl Reader {
    /// Runs until the other side is gone or too slow.
    pub async fn run(mut self) {
        let mut last_sign = clock::now();
        loop {
            let found = self.look().await;
            let is_more = matches!(&found, Ok(look) if look.is_more);
            let mut telling = self.tell(found);
            if telling.is_empty() && self.needs_sign(last_sign) {
                telling.push(self.sign());
            }
            if !telling.is_empty() {
                if !self.hand_over(telling).await {
                    return;
                }
                last_sign = clock::now();
            }
            if !is_more && !self.wait().await {
                return;
            }
        }
    }

    async fn look(&self) -> Result<Look, DbError> {
        if !self.filter.text.is_empty() {
            self.shared.log.catch_up().await;
        }
        let (filter, after, told) = (Arc::clone(&self.filter), self.after, self.heard_removed);
        let now_ms = epoch_ms(self.shared.log.now());
        self.shared
            .database
            .read(Operation::scan("events.tail"), move |c| {
                look(c, &filter, after, told, now_ms)
            })
            .await
    }

    /// What the reader has to hear of a look.
    fn tell(&mut self, found: Result<Look, DbError>) -> Vec<Told> {
        let mut telling = Vec::new();
        match found {
            Ok(look) => {
                self.after = After::Position(look.began);
                if let Some(gap) = look.gap {
                    telling.push(self.told(What::Gap(gap)));
                }
                self.tell_state(&mut telling, State::of_spool(self.shared.log.spool_status().events));
                self.heard_removed = self.heard_removed.max(look.removed);
                let event = |(position, json)| Told {
                    position: Some(position),
                    what: What::Event(json),
                };
                telling.extend(look.found.into_iter().map(event));
                self.after = After::Position(look.ended);
            }
            Err(error) => self.tell_state(&mut telling, State::Unreadable(error.told().sentence().to_owned())),
        }
        telling
    }

    fn tell_state(&mut self, telling: &mut Vec<Told>, now: State) {
        let is_known = self.heard.as_ref().is_some_and(|heard| heard.name() == now.name());
        if !is_known {
            telling.push(self.told(What::State(now.clone())));
            self.heard = Some(now);
        }
    }

    /// A message with the present position, once that is known.
    fn told(&self, what: What) -> Told {
        let position = match self.after {
            After::Position(position) => Some(position),
            After::Now | After::Beginning => None,
        };
        Told { position, what }
    }

    fn needs_sign(&self, last_sign: Instant) -> bool {
        clock::since(last_sign) >= SIGN_EVERY.min(self.shared.patience / 2)
    }

    fn sign(&self) -> Told {
        self.told(What::Sign)
    }

    /// Whether the other side took it in time.
    async fn hand_over(&mut self, telling: Vec<Told>) -> bool {
        match tokio::time::timeout(self.shared.patience, self.to.send(telling)).await {
            Ok(taken) => taken.is_ok(),
            Err(_) => {
                self.shared.count_slow();
                if let Some(let_go) = self.let_go.take() {
                    let_go();
                }
                false
            }
        }
    }

    /// Until there may be something to tell; whether somebody is still there to hear it.
    async fn wait(&mut self) -> bool {
        tokio::select! {
            () = self.to.closed() => return false,
            () = tokio::time::sleep(LOOK_EVERY) => return true,
            stored = self.stored.changed() => if stored.is_err() { return false },
        }
        tokio::time::sleep(GATHER).await;
        true
    }
}
