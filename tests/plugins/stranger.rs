//! A dynamic library that is no plugin, for the tests.
