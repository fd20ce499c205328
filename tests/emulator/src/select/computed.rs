//! The SQL of attributes that are calculated on reading.

use crate::database::model::Computed;

/// An expression for the value; `None` for those that SQL does not calculate.
pub fn sql(computed: Computed, alias: &str) -> Option<String> {
    match computed {
        Computed::IsLatestVersion => Some(format!(
            "NOT EXISTS (SELECT 1 FROM asset_version later WHERE later.asset_id = {alias}.asset_id \
             AND later.version > {alias}.version)"
        )),
        Computed::TimeLogged => Some(time_logged(alias)),
        // Real servers return seconds for both [?].
        Computed::BidDifference => Some(format!(
            "(COALESCE({alias}.bid, 0) - {})",
            time_logged(alias)
        )),
        Computed::IsOpen => Some(format!(
            "({alias}.end_date IS NULL OR {alias}.end_date > strftime('%Y-%m-%dT%H:%M:%S', 'now'))"
        )),
        // The nearest picture upwards, the entity's own first [?].
        Computed::ThumbnailSource => Some(format!(
            "(WITH RECURSIVE up(id, parent_id, thumbnail_id, depth) AS \
             (SELECT {alias}.id, {alias}.parent_id, {alias}.thumbnail_id, 0 UNION ALL \
             SELECT c.id, c.parent_id, c.thumbnail_id, up.depth + 1 FROM up CROSS JOIN context c \
             ON c.id = up.parent_id WHERE up.depth < 200) \
             SELECT id FROM up WHERE thumbnail_id IS NOT NULL ORDER BY depth LIMIT 1)"
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

/// The statuses that the workflow of its project allows a row to have, and its status rules this user to
/// set, as the text of a list.
pub fn allowed_statuses(table: &str, alias: &str, user: Option<&str>) -> String {
    let mut workflow = "JOIN status st ON st.id = x.status_id".to_owned();
    let current = format!("{alias}.status_id");
    if let Some(user) = user {
        let refused = refused_by_rules(table, alias, user, &current);
        workflow += &format!(" AND NOT {refused}");
    }
    let ordered = "SELECT json_group_array(st.id ORDER BY st.sort, st.id)";
    if table == "asset_version" {
        return format!(
            "({ordered} FROM asset a JOIN context o ON o.id = a.context_id \
             JOIN context p ON p.id = o.project_id JOIN project_schema s ON s.id = p.project_schema_id \
             JOIN workflow_schema_status x ON x.workflow_schema_id = s.asset_version_workflow_schema_id \
             {workflow} WHERE a.id = {alias}.asset_id)"
        );
    }
    if table != "context" {
        return "'[]'".to_owned();
    }
    format!(
        "CASE {alias}._type WHEN 'Task' THEN ({ordered} FROM context p \
         JOIN project_schema s ON s.id = p.project_schema_id \
         LEFT JOIN project_schema_override o ON o.project_schema_id = s.id AND o.type_id = {alias}.type_id \
         JOIN workflow_schema_status x ON x.workflow_schema_id = \
         COALESCE(o.workflow_schema_id, s.task_workflow_schema_id) \
         {workflow} WHERE p.id = {alias}.project_id) ELSE ({ordered} FROM context p \
         JOIN schema s ON s.project_schema_id = p.project_schema_id AND s.object_type_id = {alias}.object_type_id \
         JOIN schema_status x ON x.schema_id = s.id {workflow} WHERE p.id = {alias}.project_id) END"
    )
}

/// Whether status rules refuse the change of the row `alias`, of the project `p`, from the status
/// `current` to the status `st`: for each of the user's roles there is a group of rules for `st` that
/// does not name `current`. A group without a role is for all roles.
pub fn refused_by_rules(table: &str, alias: &str, user: &str, current: &str) -> String {
    let kind = match table {
        "asset_version" => "g._type = 'AssetVersionStatusRuleGroup'".to_owned(),
        _ => format!("g.object_type_id = {alias}.object_type_id"),
    };
    let own = format!(
        "user_security_role u WHERE u.user_id = '{}'",
        user.replace('\'', "''")
    );
    format!(
        "(st.id IS NOT {current} AND EXISTS (SELECT 1 FROM {own}) AND NOT EXISTS (SELECT 1 FROM {own} \
         AND NOT EXISTS (SELECT 1 FROM status_rule_group g WHERE g.schema_id = p.project_schema_id \
         AND {kind} AND g.status_id = st.id AND (g.role_id IS NULL OR g.role_id = u.security_role_id) \
         AND NOT EXISTS (SELECT 1 FROM status_rule r WHERE r.status_rule_group_id = g.id \
         AND r.status_id IS {current}))))"
    )
}

/// The types that the schema of its project allows a context to have, as the text of a list.
pub fn allowed_types(alias: &str) -> String {
    format!(
        "CASE {alias}._type WHEN 'Task' THEN (SELECT json_group_array(x.type_id) FROM context p \
         JOIN project_schema s ON s.id = p.project_schema_id \
         JOIN task_type_schema_type x ON x.task_type_schema_id = s.task_type_schema_id \
         WHERE p.id = {alias}.project_id) ELSE (SELECT json_group_array(x.type_id) FROM context p \
         JOIN schema s ON s.project_schema_id = p.project_schema_id AND s.object_type_id = {alias}.object_type_id \
         JOIN schema_type x ON x.schema_id = s.id WHERE p.id = {alias}.project_id) END"
    )
}
