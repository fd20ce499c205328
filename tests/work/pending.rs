//! Uncommitted creations and deletions in loaded collections.

use ftrack_api::{Entity, data};

use crate::support::{Studio, requests};

fn members(entity: &Entity, name: &str) -> Vec<Entity> {
    entity.get::<Vec<Entity>>(name).unwrap()
}

#[test]
fn loaded_collections_show_what_is_not_committed() {
    let studio = Studio::new();
    let session = &studio.session;
    let shot = studio.shot();
    let names = "children, assignments, allocations, appointments, outgoing_links, incoming_links";
    session.populate(&shot, names).unwrap();
    let before = members(&shot, "children");
    let user = studio.first("User");
    let asked = requests(session, || {
        let task = data! { "name": "shown", "parent": &shot };
        let task = session.create("Task", task).unwrap();
        let new = data! { "name": "below", "parent": &task };
        let below = session.create("Task", new).unwrap();
        assert_eq!(members(&task, "children"), std::slice::from_ref(&below));
        let expected = [before.as_slice(), std::slice::from_ref(&task)].concat();
        assert_eq!(members(&shot, "children"), expected);
        let link = data! { "from": &shot, "to": &task };
        let link = session.create("TypedContextLink", link).unwrap();
        assert!(members(&shot, "outgoing_links").contains(&link));
        assert!(!members(&shot, "incoming_links").contains(&link));
        assert_eq!(
            members(&task, "incoming_links"),
            std::slice::from_ref(&link)
        );
        let appointment = data! { "context": &shot, "resource": &user, "type": "assignment" };
        let appointment = session.create("Appointment", appointment).unwrap();
        assert!(members(&shot, "appointments").contains(&appointment));
        assert!(members(&shot, "assignments").contains(&appointment));
        assert!(!members(&shot, "allocations").contains(&appointment));
        for entity in [&below, &link, &appointment] {
            session.delete(entity).unwrap();
        }
        assert!(!members(&shot, "outgoing_links").contains(&link));
        assert!(!members(&shot, "appointments").contains(&appointment));
        assert_eq!(members(&task, "children"), []);
        session.rollback();
        assert_eq!(members(&shot, "children"), before);
    });
    assert_eq!(asked, 0);
    let Some(child) = before.first() else {
        panic!("the shot has children");
    };
    session.delete(child).unwrap();
    assert!(!members(&shot, "children").contains(child));
    session.rollback();
    assert_eq!(members(&shot, "children"), before);
    session.delete(child).unwrap();
    session.commit().unwrap();
    assert_eq!(members(&shot, "children").len(), before.len() - 1);
}
