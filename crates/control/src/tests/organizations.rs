use pitlane_model::{Organization, Permission};

use super::*;
use crate::{
    ActError, CreateKey, CreateOrganizationError, DeleteOrganizationError, FindOrganizationError,
};

impl Server {
    /// Makes an organization and a caller who may do in it what organizations need no operator for.
    pub(super) async fn organization(&self, name: &str) -> (Organization, Principal) {
        let organizations = self.control.organizations();
        let made = organizations.create(&self.principal, name.to_owned()).await.unwrap();
        let operator = organizations.act_for(&self.principal, &made.id.to_string()).unwrap();
        let permissions =
            Permission::ALL.into_iter().filter(|each| *each != Permission::ManageOrganizations);
        let request = CreateKey {
            name: "administrator".to_owned(),
            permissions: permissions.collect(),
            expires_at: None,
        };
        let (_, text) = self.control.keys().create(&operator, request).await.unwrap();
        (made, self.control.keys().authenticate(text.expose()).unwrap())
    }
}

#[tokio::test]
async fn an_organization_has_keys_and_sandboxes_of_its_own_also_after_a_restart() {
    let machine = Machine::new();
    let server = machine.start().await;
    // Lists begin with the oldest.
    machine.advance_clock(Duration::from_secs(1));
    let (second, caller) = server.organization("second").await;
    assert_eq!(caller.organization, second.id);
    let organizations = server.control.organizations();
    assert_eq!(organizations.list(&caller), vec![second.clone()]);
    let names = |caller| -> Vec<String> {
        organizations.list(caller).into_iter().map(|organization| organization.name).collect()
    };
    assert_eq!(names(&server.principal), ["default", "second"]);
    let first = server.principal.organization.to_string();
    let hidden = organizations.find(&caller, &first);
    assert_eq!(hidden, Err(FindOrganizationError::NotFound { id: first.clone() }));
    let refused = organizations.act_for(&caller, &first);
    assert!(matches!(refused, Err(ActError::Forbidden(_))), "{refused:?}");
    assert_eq!(server.control.keys().list(&caller).len(), 1);
    server.shut_down().await;

    let server = machine.start().await;
    let found = server.control.organizations().find(&server.principal, &second.id.to_string());
    assert_eq!(found, Ok(second));
    server.shut_down().await;
}

#[tokio::test]
async fn only_an_operator_makes_and_deletes_organizations() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (second, caller) = server.organization("second").await;
    let organizations = server.control.organizations();
    let refused = organizations.create(&caller, "third".to_owned()).await;
    assert!(matches!(refused, Err(CreateOrganizationError::Forbidden(_))), "{refused:?}");
    let refused = organizations.delete(&caller, &second.id.to_string()).await;
    assert!(matches!(refused, Err(DeleteOrganizationError::Forbidden(_))), "{refused:?}");
    let refused = organizations.create(&server.principal, "second".to_owned()).await;
    assert!(matches!(refused, Err(CreateOrganizationError::NameTaken { .. })), "{refused:?}");
    for name in ["", "a\u{0}b", &"x".repeat(256)] {
        let refused = organizations.create(&server.principal, name.to_owned()).await;
        assert!(matches!(refused, Err(CreateOrganizationError::Name)), "{refused:?}");
    }
    server.shut_down().await;
}

#[tokio::test]
async fn a_deleted_organization_takes_its_keys_along() {
    let machine = Machine::new();
    let server = machine.start().await;
    let (second, caller) = server.organization("second").await;
    let id = second.id.to_string();
    let organizations = server.control.organizations();
    let lives = server.control.keys().validity(&caller);

    let sandbox = server.control.sandboxes().create(&caller, named("theirs")).await.unwrap();
    let refused = organizations.delete(&server.principal, &id).await;
    assert!(matches!(refused, Err(DeleteOrganizationError::InUse { .. })), "{refused:?}");
    assert!(!lives.is_cancelled());
    server.control.sandboxes().delete(&caller, "theirs").await.unwrap();
    eventually("the sandbox is gone", async || {
        server
            .store
            .all_sandboxes()
            .await
            .unwrap()
            .iter()
            .all(|row| row.sandbox.spec.id != sandbox.spec.id)
    })
    .await;

    organizations.delete(&server.principal, &id).await.unwrap();
    assert!(lives.is_cancelled());
    assert_eq!(server.control.keys().current(&caller), None);
    let again = organizations.delete(&server.principal, &id).await;
    assert!(matches!(again, Err(DeleteOrganizationError::Find(_))), "{again:?}");
    let own = server.principal.organization.to_string();
    let refused = organizations.delete(&server.principal, &own).await;
    assert!(matches!(refused, Err(DeleteOrganizationError::Own)), "{refused:?}");
    // Its name is free again.
    organizations.create(&server.principal, "second".to_owned()).await.unwrap();
    server.shut_down().await;
}
