//! Assets with their versions, the files that these consist of, and where the files are.

use super::{
    Studio, attributes,
    context::Context,
    notes, row,
    seed::{TODAY, chance, day, id, pick},
    tasks::Task,
};

/// A version that has been made.
pub(super) struct Published {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) task_id: Option<String>,
}

/// How many versions assets have, in turns: three on average.
const VERSIONS: [usize; 5] = [1, 3, 5, 2, 4];

const FRAMES: usize = 4;

const COMMENTS: [&str; 8] = [
    "Notes from dailies addressed.",
    "Timing tightened by six frames.",
    "Softer edges, stronger silhouette.",
    "Fixed flicker on the left side.",
    "Matches the new camera.",
    "Extended by twelve frames for the new edit.",
    "Closer to the reference, see the note.",
    "Cleaned up after review.",
];

/// Emits an asset of that name and type; the versions come out of the task, if there is one.
pub(super) fn asset(
    studio: &mut Studio<'_>,
    context: &Context,
    (name, asset_type): (&str, &str),
    task: Option<&Task>,
) {
    let path = format!("{}/{name}", context.path);
    let asset = id("Asset", &path);
    row!(studio, "Asset", id: &asset, name: name, context_id: &context.id,
        type_id: id("AssetType", asset_type));
    let start = task.map_or(10, |task| task.start);
    let count = VERSIONS[studio.assets % VERSIONS.len()];
    studio.assets += 1;
    for number in 1..=count {
        let version = format!("{path}/v{number:03}");
        let date = (start + 3 * number as i64).min(TODAY - (count - number) as i64);
        let is_approved = number == count && chance(2, "approved", &version) == 0;
        let comment = match number {
            _ if is_approved => "Final, ready for delivery.",
            1 => "First pass for feedback.",
            _ => pick(&COMMENTS, "comment", &version),
        };
        row!(studio, "AssetVersion", id: id("AssetVersion", &version), asset_id: &asset,
            version: number as i64, comment: comment,
            date: day(date, 17), is_published: true,
            status_id: id("Status", if is_approved { "Approved" } else { "Pending" }),
            task_id: task.map(|task| &task.id),
            user_id: task.map_or_else(|| id("User", "jenkins"), |task| task.artist.id()));
        files(studio, context, (name, asset_type), &version);
        details(studio, context, &version, number, date);
        keep(studio, context, name, number, &version, task);
    }
}

/// Numbers, notes and the builds that shots use.
fn details(studio: &mut Studio<'_>, context: &Context, version: &str, number: usize, date: i64) {
    let key = id("AssetVersion", version);
    if number == 1 {
        attributes::set(
            studio,
            "NumberField",
            &key,
            100 + chance(900, "field", version) as i64,
        );
        row!(studio, "Metadata", parent_id: &key, parent_type: "AssetVersion", key: "source",
            value: format!("/mnt/projects/{}/work/{}.scene", context.path, context.name));
    }
    if chance(5, "version note", version) == 0 {
        notes::note(studio, "AssetVersion", &key, version, date + 1);
    }
    match studio.build_version.clone() {
        Some(build) if context.entity_type == "Shot" && number == 1 => {
            row!(studio, "AssetVersionLink", id: id("AssetVersionLink", version), from_id: build,
                to_id: key);
        }
        _ => {}
    }
}

/// Remembers the latest versions for lists and reviews.
fn keep(
    studio: &mut Studio<'_>,
    context: &Context,
    asset: &str,
    number: usize,
    version: &str,
    task: Option<&Task>,
) {
    let key = id("AssetVersion", version);
    if context.entity_type == "AssetBuild" {
        studio.build_version = Some(key);
    } else {
        if studio.versions.len() == 24 {
            studio.versions.remove(0);
        }
        studio.versions.push(Published {
            id: key,
            name: format!("{} {asset}", context.name),
            number,
            task_id: task.map(|task| task.id.clone()),
        });
    }
}

/// Renders are sequences of frames, everything else is one file.
fn files(
    studio: &mut Studio<'_>,
    context: &Context,
    (name, asset_type): (&str, &str),
    version: &str,
) {
    let (_, number) = version.rsplit_once('/').unwrap_or(("", version));
    let file = format!("{version}/{}_{}_{number}", context.name, name);
    match asset_type {
        "Render" | "Comp" => frames(studio, version, &file),
        "Geometry" => single(studio, version, &file, ".abc"),
        _ => single(studio, version, &file, ".mov"),
    }
}

fn single(studio: &mut Studio<'_>, version: &str, file: &str, file_type: &str) {
    let component = id("Component", file);
    let size = 200_000 + 1_000 * chance(60_000, "size", file) as i64;
    row!(studio, "FileComponent", id: &component, name: "main", file_type: file_type,
        system_type: "file", size: size, version_id: id("AssetVersion", version));
    unmanaged(studio, &component, &format!("{file}{file_type}"));
}

fn frames(studio: &mut Studio<'_>, version: &str, file: &str) {
    let container = id("Component", file);
    let sizes: Vec<i64> = (0..FRAMES)
        .map(|frame| 9_000_000 + chance(60_000, "frame", &format!("{file}{frame}")) as i64)
        .collect();
    row!(studio, "SequenceComponent", id: &container, name: "main", file_type: ".exr",
        system_type: "sequence", padding: 4i64, size: sizes.iter().sum::<i64>(),
        version_id: id("AssetVersion", version));
    unmanaged(studio, &container, &format!("{file}.%04d.exr"));
    for (frame, size) in (1001..).zip(sizes) {
        let path = format!("{file}.{frame}.exr");
        let member = id("Component", &path);
        row!(studio, "FileComponent", id: &member, name: frame.to_string(), file_type: ".exr",
            system_type: "file", size: size, container_id: &container);
        unmanaged(studio, &member, &path);
    }
}

fn unmanaged(studio: &mut Studio<'_>, component: &str, path: &str) {
    row!(studio, "ComponentLocation", id: id("ComponentLocation", component),
        component_id: component, location_id: id("Location", "ftrack.unmanaged"),
        resource_identifier: format!("/mnt/projects/{path}"));
}
