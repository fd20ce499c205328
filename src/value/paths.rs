//! Attribute paths as callers write them.

use smol_str::SmolStr;

/// One or several attribute paths: a text with commas, or a list of texts.
///
/// Every function that takes attribute paths takes them as `impl Paths`. A path is the name of an
/// attribute, or names with dots between that follow references: `status.state.short`.
///
/// ```
/// use ftrack_api::Paths;
///
/// assert_eq!("bid, status.name".to_paths(), ["bid", "status.name"]);
/// assert_eq!(["bid", "status.name"].to_paths(), ["bid", "status.name"]);
/// assert_eq!(vec![String::from("bid"), String::from("name")].to_paths(), ["bid", "name"]);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name attribute paths",
    label = "expected attribute paths",
    note = "write a text with commas, \"bid, status.name\", or a list of texts, [\"bid\", \"status.name\"]"
)]
pub trait Paths {
    /// The paths, in the order given. A blank text has none.
    fn to_paths(&self) -> Vec<&str>;
}

impl<P: Paths + ?Sized> Paths for &P {
    fn to_paths(&self) -> Vec<&str> {
        P::to_paths(self)
    }
}

impl Paths for str {
    fn to_paths(&self) -> Vec<&str> {
        split(self).collect()
    }
}

impl Paths for String {
    fn to_paths(&self) -> Vec<&str> {
        self.as_str().to_paths()
    }
}

impl Paths for SmolStr {
    fn to_paths(&self) -> Vec<&str> {
        self.as_str().to_paths()
    }
}

impl<T: AsRef<str>> Paths for [T] {
    fn to_paths(&self) -> Vec<&str> {
        self.iter().flat_map(|text| split(text.as_ref())).collect()
    }
}

impl<T: AsRef<str>, const N: usize> Paths for [T; N] {
    fn to_paths(&self) -> Vec<&str> {
        self.as_slice().to_paths()
    }
}

impl<T: AsRef<str>> Paths for Vec<T> {
    fn to_paths(&self) -> Vec<&str> {
        self.as_slice().to_paths()
    }
}

/// An empty part between commas stays, so that whoever checks the paths reports it.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let is_blank = text.trim().is_empty();
    text.split(',').map(str::trim).filter(move |_| !is_blank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[allow(
        clippy::needless_borrows_for_generic_args,
        reason = "the forms are tested"
    )]
    fn all_forms_give_the_same_paths() {
        fn check(paths: impl Paths) {
            assert_eq!(paths.to_paths(), ["bid", "status.name"]);
        }
        check("bid, status.name");
        check(" bid,status.name ");
        check(String::from("bid, status.name"));
        check(&String::from("bid, status.name"));
        check(SmolStr::from("bid,status.name"));
        check(["bid", "status.name"]);
        check(&["bid", "status.name"]);
        check(["bid".to_owned(), "status.name".to_owned()].as_slice());
        check(vec!["bid", "status.name"]);
        check(&vec!["bid".to_owned(), "status.name".to_owned()]);
    }

    #[test]
    fn blank_texts_have_no_paths_and_empty_parts_stay() {
        assert!("".to_paths().is_empty());
        assert!(" ".to_paths().is_empty());
        assert!(Vec::<String>::new().to_paths().is_empty());
        assert_eq!("bid,,name".to_paths(), ["bid", "", "name"]);
        assert_eq!("bid,".to_paths(), ["bid", ""]);
    }
}
