//! Turns: some pieces of work at a time, and organizations one after the other.
//!
//! Whoever has waited longest of the organization that has waited longest is next. An organization with a thousand
//! wishes delays another one's first wish by what is under way and no more.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pitlane_model::OrganizationId;
use tokio::sync::oneshot;

use super::Crowded;

/// How many may wait, and how many of one organization.
const MOST_WAITING: usize = 256;
const MOST_OF_ONE: usize = 64;

/// A queue.
#[derive(Debug)]
pub(super) struct Queue(Mutex<Line>);

#[derive(Debug)]
struct Line {
    free: usize,
    /// The organization that is next comes first. None is here without anybody who waits, but for those that went away.
    waiting: VecDeque<(OrganizationId, VecDeque<oneshot::Sender<Turn>>)>,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) enum Place {
    /// It was this one's turn at once.
    First(Turn),
    /// Others come first.
    Later(oneshot::Receiver<Turn>),
}

/// The right to work, until it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Queue>>);

impl Queue {
    /// A queue that gives `turns` at the same time.
    pub(super) fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(Line { free: turns, waiting: VecDeque::new() })))
    }

    /// Takes the last place, if not too many wait.
    pub(super) fn line_up(
        self: &Arc<Self>,
        organization: OrganizationId,
    ) -> Result<Place, Crowded> {
        let mut line = self.line();
        line.forget_who_went();
        let all = line.waiting.iter().map(|(_, own)| own.len()).sum::<usize>();
        let own = line.waiting.iter().find(|(of, _)| *of == organization).map(|(_, own)| own.len());
        if all >= MOST_WAITING || own.unwrap_or(0) >= MOST_OF_ONE {
            return Err(Crowded);
        }
        drop(line);
        Ok(self.line_up_again(organization))
    }

    /// Takes the last place, however many wait.
    pub(super) fn line_up_again(self: &Arc<Self>, organization: OrganizationId) -> Place {
        let (sender, mut receiver) = oneshot::channel();
        let mut line = self.line();
        match line.waiting.iter_mut().find(|(of, _)| *of == organization) {
            Some((_, own)) => own.push_back(sender),
            None => line.waiting.push_back((organization, VecDeque::from([sender]))),
        }
        drop(line);
        self.give();
        match receiver.try_recv() {
            Ok(turn) => Place::First(turn),
            Err(_) => Place::Later(receiver),
        }
    }

    /// Gives the turns that are free to those who are next.
    fn give(self: &Arc<Self>) {
        loop {
            let next = {
                let mut line = self.line();
                if line.free == 0 {
                    return;
                }
                let Some(next) = line.take_next() else { return };
                line.free -= 1;
                next
            };
            // One that went away gives it back when it is dropped here, outside the lock.
            drop(next.send(Turn(Some(Arc::clone(self)))));
        }
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Line {
    fn forget_who_went(&mut self) {
        for (_, own) in &mut self.waiting {
            own.retain(|sender| !sender.is_closed());
        }
        self.waiting.retain(|(_, own)| !own.is_empty());
    }

    /// Whoever is next; its organization is last from now on.
    fn take_next(&mut self) -> Option<oneshot::Sender<Turn>> {
        self.forget_who_went();
        let (organization, mut own) = self.waiting.pop_front()?;
        let next = own.pop_front()?;
        if !own.is_empty() {
            self.waiting.push_back((organization, own));
        }
        Some(next)
    }
}

impl Place {
    /// Waits for the turn.
    pub(super) async fn turn(self) -> Turn {
        match self {
            Self::First(turn) => turn,
            // A queue ends after everybody who waits, since each turn and each giver holds it.
            Self::Later(turn) => turn.await.unwrap_or(Turn(None)),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(queue) = self.0.take() {
            queue.line().free += 1;
            queue.give();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn organization(number: u8) -> OrganizationId {
        OrganizationId::from_random([number; 16])
    }

    #[tokio::test]
    async fn organizations_take_turns() {
        let queue = Queue::new(1);
        let first = queue.line_up(organization(1)).unwrap().turn().await;
        let places: Vec<Place> = [1, 1, 1, 2, 3]
            .into_iter()
            .map(|number| queue.line_up(organization(number)).unwrap())
            .collect();
        let (done, mut order) = tokio::sync::mpsc::channel(8);
        let mut tasks = tokio::task::JoinSet::new();
        for (number, place) in places.into_iter().enumerate() {
            let done = done.clone();
            tasks.spawn(async move {
                let turn = place.turn().await;
                done.send(number).await.unwrap();
                drop(turn);
            });
        }
        drop((first, done));
        let mut went = Vec::new();
        while let Some(number) = order.recv().await {
            went.push(number);
        }
        assert_eq!(went, [0, 3, 4, 1, 2]);
    }

    #[tokio::test]
    async fn whoever_goes_away_gives_its_place_and_its_turn_back() {
        let queue = Queue::new(1);
        let first = queue.line_up(organization(1)).unwrap();
        let second = queue.line_up(organization(1)).unwrap();
        let third = queue.line_up(organization(2)).unwrap();
        // It has its turn and never looked; the other waits.
        drop((first, second));
        drop(third.turn().await);
        drop(queue.line_up(organization(1)).unwrap().turn().await);
    }

    #[tokio::test]
    async fn nobody_makes_the_queue_long_for_others() {
        let queue = Queue::new(1);
        let _working = queue.line_up(organization(0)).unwrap().turn().await;
        let mut places = Vec::new();
        for number in 1..=4 {
            for _ in 0..MOST_OF_ONE {
                places.push(queue.line_up(organization(number)).unwrap());
            }
            if number < 4 {
                assert_eq!(queue.line_up(organization(number)).unwrap_err(), Crowded);
            }
        }
        assert_eq!(queue.line_up(organization(5)).unwrap_err(), Crowded);
        places.clear();
        queue.line_up(organization(5)).unwrap();
    }
}
