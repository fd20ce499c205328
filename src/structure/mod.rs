//! The resource identifiers of new components: the trait, and the structures that come with the
//! crate.

mod id;
mod standard;

use crate::error::{Error, ErrorKind, Result};
use crate::handle::Entity;

pub use id::{EntityIdStructure, IdStructure};
pub use standard::StandardStructure;

/// Determines where in a location the data of a component goes, as a resource identifier.
///
/// It is called when a component is added to a location; the server stores the result. A member
/// of a sequence or container may be added alone, before its container.
///
/// ```
/// use ftrack_api::Entity;
/// use ftrack_api::structure::{Structure, StructureContext};
///
/// struct ByName;
///
/// impl Structure for ByName {
///     fn get_resource_identifier(
///         &self,
///         component: &Entity,
///         _: &StructureContext,
///     ) -> anyhow::Result<String> {
///         let (name, file_type) = (component.get::<String>("name")?, component.get::<String>("file_type")?);
///         Ok(format!("{}/{name}{file_type}", component.id()))
///     }
/// }
/// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
/// # let data = ftrack_api::data! { "name": "main", "file_type": ".exr" };
/// # let component = session.create("FileComponent", data)?;
/// # let made = ByName.get_resource_identifier(&component, &StructureContext::default())?;
/// # assert!(made.ends_with("/main.exr"));
/// # Ok::<(), anyhow::Error>(())
/// ```
pub trait Structure: Send + Sync + 'static {
    /// The resource identifier for `component`, with `/` between its parts.
    ///
    /// # Errors
    ///
    /// - If the component lacks something that the structure needs, or it cannot be loaded.
    fn get_resource_identifier(
        &self,
        component: &Entity,
        context: &StructureContext,
    ) -> anyhow::Result<String>;
}

/// What a [`Structure`] gets besides the component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StructureContext {
    /// The resource identifier in the source location, if the component is there.
    pub source_resource_identifier: Option<String>,
}

/// Converts resource identifiers on their way to the server and back, for instance to store the
/// parts of a path instead of the path.
pub trait ResourceIdentifierTransformer: Send + Sync + 'static {
    /// The form in which the server stores a resource identifier.
    ///
    /// # Errors
    ///
    /// - If it cannot be converted.
    fn encode(&self, resource_identifier: &str, component: &Entity) -> anyhow::Result<String>;

    /// The resource identifier that was passed to [`encode`](Self::encode).
    ///
    /// # Errors
    ///
    /// - If `stored` cannot be converted.
    fn decode(&self, stored: &str, component: &Entity) -> anyhow::Result<String>;
}

/// Uses the resource identifier that the component has in the source location: for locations that
/// only record where files are.
#[derive(Clone, Copy, Debug, Default)]
pub struct OriginStructure;

impl Structure for OriginStructure {
    fn get_resource_identifier(
        &self,
        component: &Entity,
        context: &StructureContext,
    ) -> anyhow::Result<String> {
        let source = context.source_resource_identifier.clone();
        source.ok_or_else(|| {
            let message = format!("{component} has no resource identifier in its source location");
            Error::new(ErrorKind::NotFound, message).into()
        })
    }
}

/// `%04d`, or `%d` without padding.
fn sequence_expression(sequence: &Entity) -> Result<String> {
    let padding: Option<i64> = sequence.get("padding")?;
    Ok(match padding {
        None | Some(0) => "%d".to_owned(),
        Some(padding) => format!("%0{padding}d"),
    })
}

/// The name and file type of a component; empty if they are not set.
fn name_and_type(component: &Entity) -> Result<(String, String)> {
    let name: Option<String> = component.get("name")?;
    let file_type: Option<String> = component.get("file_type")?;
    Ok((name.unwrap_or_default(), file_type.unwrap_or_default()))
}

fn not_a_component(entity: &Entity) -> anyhow::Error {
    let message = format!("expected a file, sequence or container component, got {entity}");
    Error::new(ErrorKind::WrongType, message).into()
}
