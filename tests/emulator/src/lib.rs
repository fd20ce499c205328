//! A local ftrack server to develop and test against.

pub mod schema {
    //! The entity types.
    pub mod compact;
    pub mod hash;
}
pub mod studio;
