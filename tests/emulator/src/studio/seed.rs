//! Keys, choices and dates: everything that looks random in the studio, and is not.

use jiff::{ToSpan, civil};
use md5::{Digest, Md5};
use uuid::Builder;

/// Keys that vendor material uses, so that published examples work here, and two
/// of our own whose place in the order of keys matters.
const FIXED: [(&str, &str, &str); 28] = [
    ("User", "jenkins", "d07ae5d0-66e1-11e1-b5e9-f23c91df25eb"),
    (
        "UserType",
        "Standard",
        "ac9fa5aa-4361-11e0-b7cc-0019bb4983d8",
    ),
    (
        "ProjectSchema",
        "VFX Scheme",
        "69cb7f92-4dbf-11e1-9902-f23c91df25eb",
    ),
    // After the VFX Scheme, which is the first in the order of keys.
    (
        "ProjectSchema",
        "Series Scheme",
        "b2d0f5a4-3c51-4f0e-9a57-6d0c8e4f1b23",
    ),
    ("Project", "test", "5671dcb0-66de-11e1-8e6e-f23c91df25eb"),
    (
        "Task",
        "test/Import camera",
        "adb4ad6c-7679-11e2-8df2-f23c91df25eb",
    ),
    (
        "Location",
        "ftrack.origin",
        "ce9b348f-8809-11e3-821c-20c9d081909b",
    ),
    (
        "Location",
        "ftrack.unmanaged",
        "cb268ecc-8809-11e3-a7e2-20c9d081909b",
    ),
    (
        "Location",
        "ftrack.review",
        "cd41be70-8809-11e3-b98a-20c9d081909b",
    ),
    (
        "Location",
        "ftrack.connect",
        "07b82a97-8cf9-11e3-9383-20c9d081909b",
    ),
    (
        "Location",
        "ftrack.server",
        "3a372bde-05bc-11e4-8908-20c9d081909b",
    ),
    ("Priority", "None", "9661b320-3a0c-11e2-81c1-0800200c9a66"),
    ("ObjectType", "Task", "11c137c0-ee7e-4f9c-91c5-8c77cec22b2c"),
    ("ObjectType", "Shot", "bad911de-3bd6-47b9-8b46-3476e237cb36"),
    (
        "ObjectType",
        "Sequence",
        "e5139355-61da-4c8f-9db4-3abc870166bc",
    ),
    (
        "ObjectType",
        "Folder",
        "3c133785-51cb-11e3-980a-20c9d0831e59",
    ),
    (
        "ObjectType",
        "Episode",
        "22139355-61da-4c8f-9db4-3abc870166bc",
    ),
    (
        "ObjectType",
        "AssetBuild",
        "4be63b64-5010-42fb-bf1f-428af9d638f0",
    ),
    (
        "ObjectType",
        "Milestone",
        "01decdd1-51cb-11e3-9d5b-20c9d0831e59",
    ),
    (
        "State",
        "NOT_STARTED",
        "6c59abf8-4dbf-11e1-9902-f23c91df25eb",
    ),
    (
        "Status",
        "Not started",
        "44dd9fb2-4164-11df-9218-0019bb4983d8",
    ),
    (
        "Status",
        "In progress",
        "44ddd0fe-4164-11df-9218-0019bb4983d8",
    ),
    ("Status", "Approved", "44de097a-4164-11df-9218-0019bb4983d8"),
    ("Status", "On Hold", "a0bc2444-15e2-11e1-b21a-0019bb4983d8"),
    ("Type", "Generic", "44dbfca2-4164-11df-9218-0019bb4983d8"),
    (
        "AssetType",
        "Generic",
        "44eb3ca8-4164-11df-9218-0019bb4983d8",
    ),
    (
        "ListCategory",
        "Generic",
        "87d974d2-d6f7-11e1-8930-f23c91df25eb",
    ),
    // Before all other configurations: the first stored value is one of these.
    (
        "CustomAttributeConfiguration",
        "customNumber",
        "019c6b1e-7f3a-4c58-8d20-5b7e9a41c603",
    ),
];

/// The key of the entity of that type which `name` tells from its kind: a path, a number with
/// the path it belongs to, or just a name.
pub(super) fn id(entity_type: &str, name: &str) -> String {
    match FIXED
        .iter()
        .find(|(of, named, _)| *of == entity_type && *named == name)
    {
        Some((_, _, id)) => (*id).to_owned(),
        None => Builder::from_random_bytes(digest(entity_type, name))
            .into_uuid()
            .to_string(),
    }
}

/// One of `table`: the same for the same `name` and `purpose`, but spread evenly.
pub(super) fn pick<T: Copy>(table: &[T], purpose: &str, name: &str) -> T {
    table[chance(table.len(), purpose, name)]
}

/// A number below `limit`, which must not be 0.
pub(super) fn chance(limit: usize, purpose: &str, name: &str) -> usize {
    let bytes = digest(purpose, name);
    usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % limit
}

fn digest(kind: &str, name: &str) -> [u8; 16] {
    Md5::new()
        .chain_update(kind)
        .chain_update("\0")
        .chain_update(name)
        .finalize()
        .into()
}

/// How many of `total` things the part with that index gets when `parts` share them evenly.
pub(super) fn share(total: usize, parts: usize, index: usize) -> usize {
    total * (index + 1) / parts - total * index / parts
}

/// The day, counted like [`day`] does, on which somebody looks at the studio.
pub(super) const TODAY: i64 = 172;

/// Some days after the first of June 2026 at an hour (UTC); a weekend counts as the next Monday.
pub(super) fn day(offset: i64, hour: i8) -> civil::DateTime {
    let date = civil::date(2026, 6, 1).saturating_add(offset.days());
    let rest = match date.weekday() {
        civil::Weekday::Saturday => 2,
        civil::Weekday::Sunday => 1,
        _ => 0,
    };
    date.saturating_add(rest.days()).at(hour, 0, 0, 0)
}
