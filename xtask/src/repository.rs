//! Where things are.

use std::env;
use std::path::{Path, PathBuf};

/// The checkout that this xtask was built from.
pub(crate) struct Repository {
    root: PathBuf,
    target: PathBuf,
}

impl Repository {
    /// Finds the checkout and the target directory (`CARGO_TARGET_DIR`, or `target/`).
    pub(crate) fn locate() -> Self {
        let manifest = env::var_os("CARGO_MANIFEST_DIR")
            .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
        let root = manifest.parent().map_or_else(|| manifest.clone(), Path::to_path_buf);
        let target =
            env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Self { root, target }
    }

    /// A checkout somewhere else, with a target directory of its own.
    pub(crate) fn at(root: PathBuf) -> Self {
        Self { target: root.join("target"), root }
    }

    /// The top of the checkout.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path below the top.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root.join(relative)
    }

    /// A path below the target directory.
    pub(crate) fn target(&self, relative: &str) -> PathBuf {
        self.target.join(relative)
    }

    /// The captures and reference tables that live beside the checkout, on machines that have them.
    pub(crate) fn shared(&self) -> Option<PathBuf> {
        let shared = env::var_os("PINHOLE_SHARED").map_or_else(|| self.root.join("../shared"), PathBuf::from);
        shared.canonicalize().ok().filter(|path| path.is_dir())
    }
}
