//! Lists: the database knows which sandboxes and in which order, the memory what they are.

use std::sync::Arc;

use pitlane_model::{OrganizationId, Sandbox, SandboxState};
use pitlane_store::{ListedSandbox, SandboxPage, SandboxSlice};

use super::{ListError, ListSandboxes, PageSandboxes, Sandboxes};
use crate::Principal;

impl Sandboxes {
    /// Lists sandboxes of the caller's organization from a cursor on.
    ///
    /// The last activity shown may be a few seconds old.
    ///
    /// # Errors
    ///
    /// [`ListError::Cursor`]: begin anew. [`ListError::Store`]: try again.
    pub async fn list(
        &self,
        principal: &Principal,
        request: ListSandboxes,
    ) -> Result<SandboxPage<Arc<Sandbox>>, ListError> {
        let ListSandboxes { filter, order, limit, cursor } = request;
        if cursor.as_ref().is_some_and(|cursor| cursor.order() != order) {
            return Err(ListError::Cursor);
        }
        let limit = limit.min(ListSandboxes::MAX_LIMIT);
        self.owner.behind.settled().await;
        let (organization, states) = (principal.organization, filter.states.clone());
        let page = self.platform().store.sandboxes(organization, filter, order, cursor, limit);
        let page = page.await.map_err(|cause| ListError::Store { cause })?;
        let items = self.views(organization, &states, &page.items);
        Ok(SandboxPage { items, next: page.next })
    }

    /// Lists a numbered page of the sandboxes of the caller's organization.
    ///
    /// The last activity shown may be a few seconds old.
    ///
    /// # Errors
    ///
    /// [`ListError::Store`]: try again.
    pub async fn list_page(
        &self,
        principal: &Principal,
        request: PageSandboxes,
    ) -> Result<SandboxSlice<Arc<Sandbox>>, ListError> {
        let PageSandboxes { filter, order, limit, page } = request;
        let limit = limit.min(ListSandboxes::MAX_LIMIT);
        let skip = u64::from(page.saturating_sub(1)) * u64::from(limit);
        self.owner.behind.settled().await;
        let (organization, states) = (principal.organization, filter.states.clone());
        let slice = self.platform().store.sandbox_slice(organization, filter, order, skip, limit);
        let slice = slice.await.map_err(|cause| ListError::Store { cause })?;
        let items = self.views(organization, &states, &slice.items);
        Ok(SandboxSlice { items, total: slice.total })
    }

    /// What a list shows: not what has gone or come into another state than `states` since the list was made.
    fn views(
        &self,
        organization: OrganizationId,
        states: &[SandboxState],
        listed: &[ListedSandbox],
    ) -> Vec<Arc<Sandbox>> {
        let views = listed.iter().filter_map(|listed| {
            let mut view = self.owner.directory.by_id(organization, listed.id)?.view();
            // Whoever sees a list in the order of activity sees the activity that it is in the order of.
            if view.last_activity_at != listed.last_activity_at {
                Arc::make_mut(&mut view).last_activity_at = listed.last_activity_at;
            }
            Some(view)
        });
        views.filter(|view| states.is_empty() || states.contains(&view.state)).collect()
    }
}
