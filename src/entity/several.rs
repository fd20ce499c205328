//! Several attributes in one call.

use crate::error::Result;
use crate::handle::Entity;
use crate::store::Store;

use super::FromAttribute;

impl Entity {
    /// Reads several attributes, each as [`get`](Self::get) does, into a tuple of 2 to 16.
    ///
    /// Values that are not loaded are fetched in one request. If all are loaded, this takes half the
    /// time of single calls, and less with texts as [`SmolStr`](crate::SmolStr).
    ///
    /// ```
    /// # let (server, session) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/session.rs"));
    /// let task = session.query("select id from Task")?.first()?.expect("there are tasks");
    /// let before = session.statistics().requests;
    /// let (name, bid, status): (String, f64, Option<String>) =
    ///     task.get_many(["name", "bid", "status.name"])?;
    /// println!("{name}: {bid}, {}", status.unwrap_or_default());
    /// assert_eq!(session.statistics().requests, before + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// - [`ErrorKind::UnknownAttribute`](crate::ErrorKind::UnknownAttribute) if a path does not
    ///   exist: nothing is requested.
    /// - Any error of [`get`](Self::get), for the first path that fails.
    pub fn get_many<T: FromAttributes>(&self, paths: T::Paths<'_>) -> Result<T> {
        let mut store = self.session.shared.store.lock();
        let loaded = T::read_loaded(paths, Loaded(&mut store, self.handle.place));
        drop(store);
        if let Some(values) = loaded {
            return Ok(values);
        }
        let texts = paths.as_ref().iter().map(|path| (*path).to_owned());
        let texts: Vec<String> = texts.collect();
        self.load(&texts)?;
        T::read_each(paths, self)
    }

    /// Loads those of `paths` whose first attribute is missing, in one request.
    pub(crate) fn load(&self, paths: &[String]) -> Result<()> {
        self.session.load_paths(self.handle.place, paths)
    }
}

/// Tuples that [`Entity::get_many`] can return: of 2 to 16 types that are [`FromAttribute`]. It
/// cannot be implemented for other types.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read by `get_many`",
    label = "expected a tuple of 2 to 16 types that implement `FromAttribute`"
)]
pub trait FromAttributes: sealed::ReadTuple {}

/// The loaded values of an entity, while the session is locked.
#[allow(
    missing_debug_implementations,
    reason = "outside this crate it has no name"
)]
pub struct Loaded<'a>(&'a mut Store, u32);

impl Loaded<'_> {
    #[inline]
    fn get<T: FromAttribute>(&mut self, path: &str) -> Option<T> {
        self.0.lend(self.1, path, T::read_lent)
    }
}

mod sealed {
    use super::{Entity, Loaded, Result};

    pub trait ReadTuple: Sized {
        /// As many paths as the tuple has members: `[&str; N]`.
        type Paths<'a>: Copy + AsRef<[&'a str]>;

        /// The values, if all are loaded.
        fn read_loaded(paths: Self::Paths<'_>, loaded: Loaded<'_>) -> Option<Self>;

        fn read_each(paths: Self::Paths<'_>, entity: &Entity) -> Result<Self>;
    }
}

macro_rules! tuple {
    ($count:literal: $($member:ident $path:ident),*) => {
        impl<$($member: FromAttribute),*> FromAttributes for ($($member,)*) {}

        impl<$($member: FromAttribute),*> sealed::ReadTuple for ($($member,)*) {
            type Paths<'a> = [&'a str; $count];

            #[inline]
            fn read_loaded([$($path),*]: [&str; $count], mut loaded: Loaded<'_>) -> Option<Self> {
                Some(($(loaded.get::<$member>($path)?,)*))
            }

            fn read_each([$($path),*]: [&str; $count], entity: &Entity) -> Result<Self> {
                Ok(($(entity.get::<$member>($path)?,)*))
            }
        }
    };
}

tuple!(2: A a, B b);
tuple!(3: A a, B b, C c);
tuple!(4: A a, B b, C c, D d);
tuple!(5: A a, B b, C c, D d, E e);
tuple!(6: A a, B b, C c, D d, E e, F f);
tuple!(7: A a, B b, C c, D d, E e, F f, G g);
tuple!(8: A a, B b, C c, D d, E e, F f, G g, H h);
tuple!(9: A a, B b, C c, D d, E e, F f, G g, H h, I i);
tuple!(10: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j);
tuple!(11: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k);
tuple!(12: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l);
tuple!(13: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l, M m);
tuple!(14: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l, M m, N n);
tuple!(15: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l, M m, N n, O o);
tuple!(16: A a, B b, C c, D d, E e, F f, G g, H h, I i, J j, K k, L l, M m, N n, O o, P p);
