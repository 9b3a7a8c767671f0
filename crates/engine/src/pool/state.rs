//! What is wanted, what waits, and whose turn it is.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use pitlane_driver::{Claims, PoolKey, PoolReport, PoolStatus, PoolTrouble, WantedPool};
use pitlane_model::{ImageName, NetworkPolicy};

use crate::prepared::Recipe;
use crate::waiting::Waiting;

/// How long nobody has asked for a sandbox before more are prepared than are needed at once.
const QUIET: Duration = Duration::from_millis(100);
/// After a failure, so that a full disk or a missing program is not asked for in a loop; doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// All pools. `W` is what waits in them.
#[derive(Debug)]
pub(super) struct State<W = Waiting> {
    pools: BTreeMap<PoolKey, Pool<W>>,
    general: Claims,
    own: Claims,
    /// What nobody wants any more, until the filling thread frees it.
    stale: Vec<W>,
    /// Whose turn it was last.
    last: Option<PoolKey>,
    last_claim: Option<Instant>,
    is_closed: bool,
}

#[derive(Debug)]
struct Pool<W> {
    wanted: WantedPool,
    /// What waits was made by it.
    recipe: Option<Recipe>,
    ready: VecDeque<W>,
    /// Once begun, all that is missing is prepared in one go: spread out, each preparation would take processor time
    /// from somebody who has just got a sandbox.
    is_filling: bool,
    trouble: Option<PoolTrouble>,
    pause: Option<Pause>,
}

/// Until when a pool that failed is left alone, and for how long then.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    length: Duration,
}

/// What the filling thread does next.
#[derive(Debug)]
pub(super) enum Next<W> {
    /// End.
    End(Vec<W>),
    /// Free these.
    Free(Vec<W>),
    /// Prepare one more.
    Prepare(WantedPool),
    /// Wait for a change, or for so long.
    Wait(Option<Duration>),
}

/// Something that can wait.
pub(super) trait Wait {
    /// Whether it waits no more: its process has ended.
    fn has_ended(&self) -> bool;
}

impl Wait for Waiting {
    fn has_ended(&self) -> bool {
        Self::has_ended(self)
    }
}

impl<W> Default for State<W> {
    fn default() -> Self {
        Self {
            pools: BTreeMap::new(),
            general: Claims::default(),
            own: Claims::default(),
            stale: Vec::new(),
            last: None,
            last_claim: None,
            is_closed: false,
        }
    }
}

impl<W: Wait> State<W> {
    pub(super) fn keep(&mut self, wanted: Vec<WantedPool>) {
        if self.is_closed {
            return;
        }
        let mut before = std::mem::take(&mut self.pools);
        for wanted in wanted {
            let mut pool = match before.remove(&wanted.key) {
                Some(pool) if pool.is_of(&wanted) => pool,
                other => {
                    self.stale.extend(other.into_iter().flat_map(|other| other.ready));
                    Pool::new(wanted.clone())
                }
            };
            // What was in the way may have gone.
            pool.pause = None;
            pool.wanted = wanted;
            let surplus = pool.ready.len().saturating_sub(pool.size());
            self.stale.extend(pool.ready.drain(..surplus));
            self.pools.insert(pool.wanted.key, pool);
        }
        self.stale.extend(before.into_values().flat_map(|pool| pool.ready));
    }

    pub(super) fn claim(
        &mut self,
        keys: &[PoolKey],
        image: &ImageName,
        recipe: &Recipe,
    ) -> Option<W> {
        for key in keys {
            let Some(pool) = self.pools.get_mut(key) else { continue };
            if !pool.is_for(image, recipe) {
                continue;
            }
            self.last_claim = Some(Instant::now());
            let claimed = pool.take(recipe, &mut self.stale);
            let claims = match key {
                PoolKey::General => &mut self.general,
                PoolKey::Own(_) => &mut self.own,
            };
            if claimed.is_some() {
                claims.hits += 1;
                return claimed;
            }
            claims.misses += 1;
        }
        None
    }

    /// How many wait in all pools.
    pub(super) fn ready(&self) -> u64 {
        self.pools.values().map(|pool| pool.ready.len() as u64).sum()
    }

    pub(super) fn report(&self) -> PoolReport {
        let status = |pool: &Pool<W>| PoolStatus {
            key: pool.wanted.key,
            wanted: pool.wanted.count,
            ready: u32::try_from(pool.ready.len()).unwrap_or(u32::MAX),
            trouble: pool.trouble.clone(),
        };
        PoolReport {
            pools: self.pools.values().map(status).collect(),
            general: self.general,
            own: self.own,
        }
    }

    pub(super) fn close(&mut self) {
        self.keep(Vec::new());
        self.is_closed = true;
    }

    /// Decides what comes next at this time.
    pub(super) fn next(&mut self, now: Instant) -> Next<W> {
        if self.is_closed {
            return Next::End(std::mem::take(&mut self.stale));
        }
        if !self.stale.is_empty() {
            return Next::Free(std::mem::take(&mut self.stale));
        }
        let quiet_at = self.last_claim.map(|last| last + QUIET);
        let mut wake_at: Option<Instant> = None;
        let mut chosen = None;
        // Those after the one that was last come first.
        let last = self.last;
        let in_turn = |key: &PoolKey| Some(*key) <= last;
        let mut keys: Vec<PoolKey> = self.pools.keys().copied().collect();
        keys.sort_by_key(|key| (in_turn(key), *key));
        for key in keys {
            let Some(pool) = self.pools.get_mut(&key) else { continue };
            match pool.due_at(quiet_at, now) {
                None => {}
                Some(due) if due <= now => {
                    chosen = Some(pool.wanted.clone());
                    break;
                }
                Some(due) => wake_at = Some(wake_at.map_or(due, |earliest| earliest.min(due))),
            }
        }
        let Some(wanted) = chosen else {
            return Next::Wait(wake_at.map(|at| at.saturating_duration_since(now)));
        };
        self.last = Some(wanted.key);
        Next::Prepare(wanted)
    }

    /// What the image of a pool is by now. Those that were made of another one are given up.
    pub(super) fn resolve(&mut self, wanted: &WantedPool, recipe: &Recipe) {
        let Some(pool) = self.pools.get_mut(&wanted.key).filter(|pool| pool.is_of(wanted)) else {
            return;
        };
        if pool.recipe.as_ref() != Some(recipe) {
            pool.recipe = Some(recipe.clone());
            self.stale.extend(pool.ready.drain(..));
        }
    }

    /// Puts what was prepared where it belongs, unless nobody wants it any more.
    pub(super) fn put(&mut self, wanted: &WantedPool, recipe: &Recipe, prepared: W) {
        let pool = self.pools.get_mut(&wanted.key).filter(|pool| {
            pool.is_of(wanted)
                && pool.recipe.as_ref() == Some(recipe)
                && pool.ready.len() < pool.size()
        });
        match pool {
            Some(pool) => {
                pool.trouble = None;
                pool.pause = None;
                pool.ready.push_back(prepared);
            }
            None => self.stale.push(prepared),
        }
    }

    /// Notes why there is not one more, and leaves that pool alone for a while.
    pub(super) fn fail(&mut self, wanted: &WantedPool, trouble: PoolTrouble, now: Instant) {
        let Some(pool) = self.pools.get_mut(&wanted.key).filter(|pool| pool.is_of(wanted)) else {
            return;
        };
        if trouble == PoolTrouble::NoImage {
            self.stale.extend(pool.ready.drain(..));
            pool.recipe = None;
        }
        let length = pool.pause.map_or(FIRST_PAUSE, |pause| (pause.length * 2).min(LONGEST_PAUSE));
        pool.pause = Some(Pause { until: now + length, length });
        pool.trouble = Some(trouble);
    }
}

impl<W: Wait> Pool<W> {
    fn new(wanted: WantedPool) -> Self {
        Self {
            wanted,
            recipe: None,
            ready: VecDeque::new(),
            is_filling: false,
            trouble: None,
            pause: None,
        }
    }

    fn size(&self) -> usize {
        usize::try_from(self.wanted.count).unwrap_or(usize::MAX)
    }

    /// Whether what waits here can wait there.
    fn is_of(&self, wanted: &WantedPool) -> bool {
        self.wanted.image == wanted.image
            && self.wanted.limits.disk_gib() == wanted.limits.disk_gib()
    }

    /// Whether its sandboxes are meant for creates like this one, whatever became of the image.
    fn is_for(&self, image: &ImageName, recipe: &Recipe) -> bool {
        self.wanted.count > 0
            && self.wanted.image == *image
            && self.wanted.limits.disk_gib() == recipe.disk_gib
            && recipe.network == NetworkPolicy::Open
    }

    fn take(&mut self, recipe: &Recipe, stale: &mut Vec<W>) -> Option<W> {
        if self.recipe.as_ref() != Some(recipe) {
            // The name means another image by now.
            stale.extend(self.ready.drain(..));
            return None;
        }
        while let Some(first) = self.ready.pop_front() {
            if !first.has_ended() {
                return Some(first);
            }
            stale.push(first);
        }
        None
    }

    /// When one more is to be prepared; `None` while there are enough.
    fn due_at(&mut self, quiet_at: Option<Instant>, now: Instant) -> Option<Instant> {
        let missing = self.size().saturating_sub(self.ready.len());
        if missing == 0 {
            self.is_filling = false;
            return None;
        }
        // With enough left, whoever has just got a sandbox is using it: preparing can wait.
        let quiet_at = quiet_at.unwrap_or(now);
        self.is_filling |= missing > self.size() / 2 || quiet_at <= now;
        let begin = if self.is_filling { now } else { quiet_at };
        Some(self.pause.map_or(begin, |pause| begin.max(pause.until)))
    }
}

#[cfg(test)]
mod tests;
