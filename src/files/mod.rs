//! Files and their formats: written whole or not at all, by one process at a time, and read with every size checked.
//!
//! Nothing here knows what a training is.

pub mod atomic;
pub mod csv;
pub mod folder;
pub mod lock;
pub mod npz;
pub mod safetensors;
