//! The SQL of attributes that are calculated on reading (SERVER.md D).

use crate::database::model::Computed;

/// An expression for the value; `None` for those that SQL does not calculate.
pub fn sql(computed: Computed, alias: &str) -> Option<String> {
    match computed {
        Computed::IsLatestVersion => Some(format!(
            "NOT EXISTS (SELECT 1 FROM asset_version later WHERE later.asset_id = {alias}.asset_id \
             AND later.version > {alias}.version)"
        )),
        Computed::TimeLogged => Some(time_logged(alias)),
        // Real servers answer seconds for both [?].
        Computed::BidDifference => Some(format!(
            "(COALESCE({alias}.bid, 0) - {})",
            time_logged(alias)
        )),
        Computed::IsOpen => Some(format!(
            "({alias}.end_date IS NULL OR {alias}.end_date > strftime('%Y-%m-%dT%H:%M:%S', 'now'))"
        )),
        Computed::Link | Computed::ThumbnailUrl | Computed::Url => None,
    }
}

/// The latest version of the asset `alias`.
pub fn latest_version(alias: &str) -> String {
    format!(
        "(SELECT latest.id FROM asset_version latest WHERE latest.asset_id = {alias}.id \
         ORDER BY latest.version DESC, latest.id LIMIT 1)"
    )
}

/// Time logged on a context and on everything below it, in seconds [?].
fn time_logged(alias: &str) -> String {
    format!(
        "(WITH RECURSIVE below(id) AS (SELECT {alias}.id UNION SELECT c.id FROM below \
         CROSS JOIN context c ON c.parent_id = below.id) \
         SELECT COALESCE(SUM(l.duration), 0.0) FROM below CROSS JOIN timelog l ON l.context_id = below.id)"
    )
}
