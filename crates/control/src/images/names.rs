//! Which names of built images somebody still needs. A name that nobody needs any more is forgotten, and with it what
//! has no other.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use pitlane_driver::Driver;
use pitlane_model::ImageReference;

use crate::chain::Chain;

/// The names of built images.
#[derive(Debug)]
pub(super) struct Names {
    driver: Arc<dyn Driver>,
    needs: Arc<Mutex<HashMap<ImageReference, usize>>>,
    /// Held while a name is forgotten.
    forgetting: tokio::sync::Mutex<()>,
}

/// The need of a sandbox or snapshot for a name.
#[derive(Debug)]
pub(crate) struct Need {
    needs: Arc<Mutex<HashMap<ImageReference, usize>>>,
    reference: ImageReference,
}

impl Names {
    pub(super) fn new(driver: Arc<dyn Driver>) -> Self {
        Self { driver, needs: Arc::default(), forgetting: tokio::sync::Mutex::default() }
    }

    pub(super) fn need(&self, reference: ImageReference) -> Need {
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        *needs.entry(reference.clone()).or_default() += 1;
        drop(needs);
        Need { needs: Arc::clone(&self.needs), reference }
    }

    /// Forgets the name if nobody else needs it.
    pub(super) async fn let_go(&self, need: Need) {
        let reference = need.reference.clone();
        drop(need);
        let _turn = self.forgetting.lock().await;
        // Whoever needs it from here on waits in `settled` before it builds.
        if !self.is_needed(&reference)
            && let Err(error) = self.driver.remove_image(&reference).await
        {
            tracing::warn!(image = %reference, error = %Chain(&error), "an image is left");
        }
    }

    fn is_needed(&self, reference: &ImageReference) -> bool {
        self.needs.lock().unwrap_or_else(PoisonError::into_inner).contains_key(reference)
    }

    /// Waits until no name is being forgotten that was not needed a moment ago.
    pub(super) async fn settled(&self) {
        drop(self.forgetting.lock().await);
    }
}

impl Drop for Need {
    fn drop(&mut self) {
        let mut needs = self.needs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = needs.get_mut(&self.reference) {
            *count -= 1;
            if *count == 0 {
                needs.remove(&self.reference);
            }
        }
    }
}
