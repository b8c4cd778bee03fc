//! Files and their formats. Files are written completely or not at all, by one process at a time, and every size in a
//! file is checked when it is read.

pub mod atomic;
pub mod csv;
pub mod folder;
pub mod lock;
pub mod npz;
pub mod safetensors;
