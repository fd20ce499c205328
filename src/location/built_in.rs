//! The locations that every server has.

/// The location of files before they are published. Its contents are known to one session only.
pub const ORIGIN_LOCATION_ID: &str = "ce9b348f-8809-11e3-821c-20c9d081909b";
/// The location of files that stay where they are. The server stores their paths.
pub const UNMANAGED_LOCATION_ID: &str = "cb268ecc-8809-11e3-a7e2-20c9d081909b";
/// The location of media for the web player.
pub const REVIEW_LOCATION_ID: &str = "cd41be70-8809-11e3-b98a-20c9d081909b";
/// The location of the desktop application. Nothing is bound to it.
pub const CONNECT_LOCATION_ID: &str = "07b82a97-8cf9-11e3-9383-20c9d081909b";
/// The server's own storage.
pub const SERVER_LOCATION_ID: &str = "3a372bde-05bc-11e4-8908-20c9d081909b";

/// The built-in locations by name.
pub(crate) const BUILT_IN: [(&str, &str); 5] = [
    ("ftrack.origin", ORIGIN_LOCATION_ID),
    ("ftrack.unmanaged", UNMANAGED_LOCATION_ID),
    ("ftrack.review", REVIEW_LOCATION_ID),
    ("ftrack.connect", CONNECT_LOCATION_ID),
    ("ftrack.server", SERVER_LOCATION_ID),
];
