//! A local ftrack server to develop and test against.
