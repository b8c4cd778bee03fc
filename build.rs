//! With the feature `autograd-check`: writes the folder of libtorch into every program linked, as its run-time search
//! path, so that no `LD_LIBRARY_PATH` or `DYLD_LIBRARY_PATH` is needed. Without it: nothing.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if env::var_os("CARGO_FEATURE_AUTOGRAD_CHECK").is_none() {
        return;
    }
    // Cargo sets this from what torch-sys's build script found, for its direct dependents only: that is why torch-sys
    // is one.
    let lib = env::var("DEP_TCH_LIBTORCH_LIB");
    let os = env::var("CARGO_CFG_TARGET_OS");
    if let (Ok(lib), Ok("linux" | "macos")) = (lib, os.as_deref()) {
        println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
    }
}
