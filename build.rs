//! Does nothing in a default build.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
}
