//! Users, groups and what they may do.

use super::{Cell, Studio, row, seed::id};

/// Somebody in the studio. A person without a user name cannot log in: records of former staff
/// are kept like this, and clients must cope.
pub(super) struct Person {
    pub(super) username: Option<&'static str>,
    pub(super) first_name: &'static str,
    pub(super) last_name: &'static str,
    has_email: bool,
    pub(super) group: &'static str,
}

pub(super) static PEOPLE: [Person; 16] = [
    person("jenkins", "Jenkins", "Automation", "Pipeline"),
    person("ada.lindqvist", "Ada", "Lindqvist", "Production"),
    person("tomas.okafor", "Tomás", "Okafor", "Production"),
    person("mei.tanaka", "Mei", "Tanaka", "Supervision"),
    person("jonas.weber", "Jonas", "Weber", "Supervision"),
    person("priya.raman", "Priya", "Raman", "Animation"),
    person("luca.ferri", "Luca", "Ferri", "Animation"),
    person("noor.haddad", "Noor", "Haddad", "Animation"),
    person("eva.novak", "Eva", "Nováková", "Lighting"),
    person("sam.brennan", "Sam", "Brennan", "Lighting"),
    person("ines.duarte", "Inês", "Duarte", "Compositing"),
    person("kofi.mensah", "Kofi", "Mensah", "Compositing"),
    person("hanna.virtanen", "Hanna", "Virtanen", "Assets"),
    person("diego.salas", "Diego", "Salas", "Assets"),
    Person {
        username: Some("render"),
        has_email: false,
        ..person("", "Render", "Wrangler", "Pipeline")
    },
    Person {
        username: None,
        has_email: false,
        ..person("", "Olga", "Petit", "Assets")
    },
];

const fn person(
    username: &'static str,
    first_name: &'static str,
    last_name: &'static str,
    group: &'static str,
) -> Person {
    Person {
        username: Some(username),
        first_name,
        last_name,
        has_email: true,
        group,
    }
}

impl Person {
    pub(super) fn id(&self) -> String {
        id("User", self.username.unwrap_or(self.last_name))
    }

    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first_name, self.last_name)
    }
}

/// Those who do the work of one group today; the group must have members.
pub(super) fn members(group: &str) -> Vec<&'static Person> {
    let works_here = |person: &&Person| person.group == group && person.username.is_some();
    PEOPLE.iter().filter(works_here).collect()
}

/// Name and the group it belongs to.
const GROUPS: [(&str, Option<&str>); 8] = [
    ("Artists", None),
    ("Production", None),
    ("Supervision", None),
    ("Pipeline", None),
    ("Assets", Some("Artists")),
    ("Animation", Some("Artists")),
    ("Lighting", Some("Artists")),
    ("Compositing", Some("Artists")),
];

/// Name and which projects the role reaches: all of them, or those one is assigned to.
const ROLES: [(&str, &str); 5] = [
    ("Administrator", "PROJECT"),
    ("API", "PROJECT"),
    ("Project Manager", "PROJECT"),
    ("User", "ASSIGNED"),
    ("Restricted User", "ASSIGNED"),
];

pub(super) fn rows(studio: &mut Studio<'_>) {
    for name in ["Standard", "Freelance"] {
        row!(studio, "UserType", id: id("UserType", name), name: name);
    }
    for (name, kind) in ROLES {
        row!(studio, "SecurityRole", id: id("SecurityRole", name), name: name, type: kind);
    }
    for (name, parent) in GROUPS {
        row!(studio, "Group", id: id("Group", name), name: name, local: true,
            resource_type: "group", parent_id: parent.map(|parent| id("Group", parent)));
    }
    for person in &PEOPLE {
        user(studio, person);
    }
}

fn user(studio: &mut Studio<'_>, person: &Person) {
    let user = person.id();
    let email = person.username.filter(|_| person.has_email);
    row!(studio, "User", id: &user, username: person.username,
        email: email.map(|name| format!("{name}@lanternworks.example")),
        first_name: person.first_name, last_name: person.last_name,
        is_active: person.username.is_some(), is_otp_enabled: false, is_totp_enabled: false,
        require_details_update: false, resource_type: "user",
        user_type_id: id("UserType", "Standard"));
    row!(studio, "Membership", id: id("Membership", &user), group_id: id("Group", person.group),
        user_id: &user);
    let role = match person.group {
        "Pipeline" => "Administrator",
        "Production" | "Supervision" => "Project Manager",
        _ => "User",
    };
    row!(studio, "UserSecurityRole", id: id("UserSecurityRole", &user), user_id: &user,
        security_role_id: id("SecurityRole", role),
        is_all_open_projects: Cell::Bool(role != "User"));
}

/// Artists work on the projects that they are given one by one.
pub(super) fn project_access(studio: &mut Studio<'_>, project: &str) {
    for person in PEOPLE.iter().filter(|person| {
        GROUPS.contains(&(person.group, Some("Artists"))) && person.username.is_some()
    }) {
        let user = person.id();
        row!(studio, "UserSecurityRoleProject",
            id: id("UserSecurityRoleProject", &format!("{project}/{user}")),
            user_security_role_id: id("UserSecurityRole", &user), project_id: project);
    }
}
