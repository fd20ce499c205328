//! Plugins in dynamic libraries: the only file with `unsafe` code.
//!
//! A library has its own copy of this crate, which works on the session of the program that loads
//! it. docs/ARCHITECTURE.md, "What crosses the library boundary", explains why that is sound; the
//! checks are here.

#![allow(unsafe_code, reason = "loading a library is unsafe, whatever it holds")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::any::TypeId;
use std::hash::{Hash, Hasher};
use std::mem::ManuallyDrop;
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};

use libloading::Library;
use log::{Log, Metadata, Record};

use super::Plugin;
use super::crates;
use super::identity::{self, Identity};
use super::path::open_trusted;
use crate::error::caught;
use crate::handle::Session;

/// The exported name that is looked up in a library.
const SYMBOL: &[u8] = b"ftrack_api_plugin\0";

/// The versions of the crates under this one, in this build.
const CRATES: &str = env!("FTRACK_API_CRATES");

/// What a plugin library exports; made by [`export_plugin!`](crate::export_plugin).
#[repr(C)]
#[allow(missing_debug_implementations, reason = "nobody holds one")]
pub struct Descriptor {
    /// Compared before anything else here is touched.
    identity: Identity,
    build: extern "C" fn() -> u64,
    start: unsafe extern "C" fn(*const Host) -> Started,
    make: fn() -> anyhow::Result<Box<dyn Plugin>>,
    /// The versions of the crates under this one.
    crates: &'static str,
}

impl Descriptor {
    /// For the macro.
    #[doc(hidden)]
    pub const fn new(make: fn() -> anyhow::Result<Box<dyn Plugin>>) -> Self {
        Self {
            identity: Identity::OWN,
            build,
            start,
            make,
            crates: CRATES,
        }
    }
}

/// Makes a plugin, for the macro, so that no panic of it leaves its library.
#[doc(hidden)]
pub fn contain<P: Plugin>(make: impl FnOnce() -> P) -> anyhow::Result<Box<dyn Plugin>> {
    caught(|| {
        let plugin = make();
        Ok(Box::new(Contained {
            name: plugin.name().to_owned(),
            version: plugin.version().to_owned(),
            plugin,
        }) as Box<dyn Plugin>)
    })
}

/// A plugin whose panics become errors inside its own library: those of another library cannot
/// be caught.
struct Contained<P> {
    name: String,
    version: String,
    plugin: P,
}

impl<P: Plugin> Plugin for Contained<P> {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn register(
        &self,
        registrar: &mut super::Registrar,
        arguments: &super::Arguments,
    ) -> anyhow::Result<()> {
        caught(|| self.plugin.register(registrar, arguments))
    }
}

/// Exports a plugin from a dynamic library (`crate-type = ["cdylib"]`), so that sessions find it
/// on their plugin paths. Takes the expression of a [`Plugin`](crate::plugin::Plugin); a library
/// exports one.
///
/// It also makes the library use the memory allocator of the program that loads it, because the
/// two hand each other values to free; so the library cannot have a `#[global_allocator]` of its
/// own.
///
/// ```standalone_crate
/// use ftrack_api::plugin::{Arguments, Plugin, Registrar};
///
/// #[derive(Default)]
/// struct Greeter;
///
/// impl Plugin for Greeter {
///     fn name(&self) -> &str {
///         "studio.greeter"
///     }
///     fn version(&self) -> &str {
///         env!("CARGO_PKG_VERSION")
///     }
///     fn register(&self, registrar: &mut Registrar, _: &Arguments) -> anyhow::Result<()> {
///         registrar.subscribe("topic=studio.greeting", |_, _| Ok(Some("hello".into())))
///     }
/// }
///
/// ftrack_api::export_plugin!(Greeter);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export_plugin {
    ($plugin:expr) => {
        const _: () = {
            #[global_allocator]
            static ALLOCATOR: $crate::plugin::HostAllocator = $crate::plugin::HostAllocator;

            fn make() -> $crate::plugin::Contained {
                $crate::plugin::contain(|| $plugin)
            }

            #[allow(non_upper_case_globals)]
            #[unsafe(no_mangle)]
            static ftrack_api_plugin: $crate::plugin::Descriptor =
                $crate::plugin::Descriptor::new(make);
        };
    };
}

/// Makes the plugin of the library at `path`, found below `root`, if it is of the same build as this
/// program. The library is never unloaded: callbacks, errors and thread-local values of it may live as
/// long as the process.
///
/// # Errors
///
/// - Why it cannot be used.
pub(super) fn load(root: &Path, path: &Path) -> Result<Box<dyn Plugin>, String> {
    // A bare name would be looked up in the system's folders.
    let path = std::path::absolute(path).map_err(|error| error.to_string())?;
    let file = open_trusted(root, &path)?;
    let identities = identity::find(file).map_err(|error| format!("it cannot be read: {error}"))?;
    if identities.is_empty() {
        return Err("it is not a plugin library: it has nothing from `export_plugin!`".into());
    }
    for identity in identities {
        identity.check()?;
    }
    // SAFETY: Loading runs the library's initialisers. It was built with this compiler, from this
    // source, by `export_plugin!`, in which nothing runs before `start`. What else its author links
    // in, and that the file is not replaced meanwhile, is in the hands of those who may write the
    // file, and they are trusted.
    let library = unsafe { Library::new(&path) };
    let library = library.map_err(|error| format!("it cannot be loaded: {error}"))?;
    let library = ManuallyDrop::new(library);
    // SAFETY: The name is exported by `export_plugin!` only, which gives it this type; its first
    // field has a form that never changes and is compared before the others are used.
    let symbol = unsafe { library.get::<*const Descriptor>(SYMBOL) };
    let symbol = symbol.map_err(|error| format!("it exports no plugin: {error}"))?;
    // SAFETY: The symbol is the address of a static, which lives as long as the library: for ever.
    let descriptor: &'static Descriptor = unsafe { &**symbol };
    descriptor.identity.check()?;
    // The identity says that both are of one compiler and source, so these fields have one layout.
    check_build((descriptor.build)(), descriptor.crates)?;
    // SAFETY: `HOST_TABLE` has the type that a library of this very build expects, and lives for
    // ever.
    match unsafe { (descriptor.start)(&raw const HOST_TABLE) } {
        Started::Yes => {}
        Started::Allocated => {
            return Err(
                "its initialisers allocate memory before it has the allocator of this program"
                    .into(),
            );
        }
        Started::Taken => {
            return Err("another copy of ftrack-api in this process has already loaded it".into());
        }
    }
    (descriptor.make)().map_err(|error| format!("it cannot be started: {error:#}"))
}

/// # Errors
///
/// - The crates that differ, if the library is of another [`build`] than this program.
fn check_build(theirs: u64, crates: &str) -> Result<(), String> {
    match theirs == build() {
        true => Ok(()),
        false => Err(crates::difference(crates, CRATES)),
    }
}

/// Equal for two copies of this crate if source, options, dependencies and their features are equal:
/// Cargo puts all that into the hashes by which the compiler distinguishes crates, and so types.
extern "C" fn build() -> u64 {
    struct Fold(u64);
    impl Hasher for Fold {
        fn write(&mut self, bytes: &[u8]) {
            for byte in bytes {
                self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }

        fn finish(&self) -> u64 {
            self.0
        }
    }
    let mut fold = Fold(0xcbf2_9ce4_8422_2325);
    TypeId::of::<Session>().hash(&mut fold);
    TypeId::of::<serde_json::Value>().hash(&mut fold);
    TypeId::of::<anyhow::Error>().hash(&mut fold);
    fold.finish()
}

/// What a library uses of the program that loads it.
#[repr(C)]
pub(super) struct Host {
    alloc: unsafe fn(Layout) -> *mut u8,
    alloc_zeroed: unsafe fn(Layout) -> *mut u8,
    realloc: unsafe fn(*mut u8, Layout, usize) -> *mut u8,
    dealloc: unsafe fn(*mut u8, Layout),
    enabled: fn(&Metadata<'_>) -> bool,
    log: fn(&Record<'_>),
}

static HOST_TABLE: Host = Host {
    alloc: std::alloc::alloc,
    alloc_zeroed: std::alloc::alloc_zeroed,
    realloc: std::alloc::realloc,
    dealloc: std::alloc::dealloc,
    // A panic of the logger must not reach the library.
    enabled: |metadata| {
        metadata.level() <= log::max_level()
            && caught(|| Ok(log::logger().enabled(metadata))).unwrap_or(false)
    },
    log: |record| {
        let _ = caught(|| {
            log::logger().log(record);
            Ok(())
        });
    },
};

/// In a library, the program that has loaded it.
static HOST: AtomicPtr<Host> = AtomicPtr::new(ptr::null_mut());

/// In a library, whether memory was allocated before the program was known.
static ALLOCATED: AtomicBool = AtomicBool::new(false);

#[repr(C)]
enum Started {
    Yes,
    /// Memory of this library's own allocator is in use.
    Allocated,
    /// Another host in this process has it.
    Taken,
}

/// The first function of a library that the host calls.
///
/// # Safety
///
/// `host` lives for ever.
unsafe extern "C" fn start(host: *const Host) -> Started {
    if ALLOCATED.load(Ordering::Acquire) {
        return Started::Allocated;
    }
    let set = HOST.compare_exchange(
        ptr::null_mut(),
        host.cast_mut(),
        Ordering::AcqRel,
        Ordering::Acquire,
    );
    match set {
        Ok(_) => {
            // This copy logs to the program's logger. No other was set before.
            if log::set_logger(&HostLogger).is_ok() {
                log::set_max_level(log::LevelFilter::Trace);
            }
            std::panic::set_hook(Box::new(|panic| {
                log::debug!("in a plugin library: {panic}");
            }));
            Started::Yes
        }
        Err(other) if ptr::eq(other, host) => Started::Yes,
        Err(_) => Started::Taken,
    }
}

fn host() -> Option<&'static Host> {
    // SAFETY: It is null, or what `start` was given, which lives for ever and is never written.
    unsafe { HOST.load(Ordering::Acquire).as_ref() }
}

/// The allocator of the program that loads a library; outside plugin libraries the system's.
#[derive(Debug)]
pub struct HostAllocator;

// SAFETY: Every function forwards to the same function of one allocator that keeps the contract.
// It is the same one for all memory: `start` refuses to change it once some is in use.
unsafe impl GlobalAlloc for HostAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match host() {
            // SAFETY: The caller keeps the contract of this function, which is the same.
            Some(host) => unsafe { (host.alloc)(layout) },
            None => {
                ALLOCATED.store(true, Ordering::Release);
                // SAFETY: As above.
                unsafe { System.alloc(layout) }
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match host() {
            // SAFETY: As for `alloc`.
            Some(host) => unsafe { (host.alloc_zeroed)(layout) },
            None => {
                ALLOCATED.store(true, Ordering::Release);
                // SAFETY: As for `alloc`.
                unsafe { System.alloc_zeroed(layout) }
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        match host() {
            // SAFETY: As for `alloc`; the block is of the same allocator.
            Some(host) => unsafe { (host.realloc)(block, layout, size) },
            // SAFETY: As for `alloc`; the block is of the same allocator.
            None => unsafe { System.realloc(block, layout, size) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match host() {
            // SAFETY: As for `realloc`.
            Some(host) => unsafe { (host.dealloc)(block, layout) },
            // SAFETY: As for `realloc`.
            None => unsafe { System.dealloc(block, layout) },
        }
    }
}

struct HostLogger;

impl Log for HostLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        host().is_some_and(|host| (host.enabled)(metadata))
    }

    fn log(&self, record: &Record<'_>) {
        if let Some(host) = host().filter(|host| (host.enabled)(record.metadata())) {
            (host.log)(record);
        }
    }

    fn flush(&self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_of_another_build_is_refused_with_the_crates_that_differ() {
        assert_eq!(check_build(build(), CRATES), Ok(()));
        let mio = CRATES.split(';').find(|one| one.starts_with("mio "));
        let other = CRATES.replace(mio.expect("it is under this crate"), "mio 0.0.7");
        let why = check_build(!build(), &other).expect_err("it is another build");
        assert!(why.contains("built with mio 0.0.7 (here "), "{why}");
        assert!(!why.contains("serde "), "{why}");
    }
}
