//! Recreates `data/sample`, and its compressed copy `data/sample.bin.gz`, from the full data set:
//!
//! ```text
//! cargo run --release -- fetch
//! cargo run --release --example cut_sample [FOLDER_OF_THE_DATA [FOLDER_OF_THE_SAMPLE]]
//! ```
//!
//! Fails if the digest of a file differs from the one that the library expects.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use onelayer::dataset::Dataset;
use onelayer::dataset::store::{self, Trust};
use onelayer::dataset::{cifar10, sample};
use onelayer::files::atomic;

fn main() -> Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let data = arguments.next().unwrap_or_else(|| cifar10::DEFAULT_DIR.into());
    let out = arguments.next().unwrap_or_else(|| sample::DEFAULT_DIR.into());
    std::fs::create_dir_all(&out)?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::best());
    for (part, source, per_class) in sample::PARTS {
        let full = store::load(&data, &[source], Trust::Nothing)?;
        let bytes = cifar10::to_records(&cut(&full, per_class)?);
        let path = out.join(part.name);
        atomic::write(&path, &bytes)?;
        let digest = store::sha256(&bytes[..])?;
        println!("{} {} bytes {digest}", path.display(), bytes.len());
        ensure!(digest == part.sha256, "expected {}", part.sha256);
        packed.write_all(&bytes)?;
    }
    atomic::write(&out.with_extension("bin.gz"), &packed.finish()?)?;
    Ok(())
}

/// The first `per_class` examples of each class, in the order of `dataset`.
pub fn cut(dataset: &Dataset, per_class: usize) -> Result<Dataset> {
    let dims = dataset.dims();
    let mut taken = vec![0; dims.classes];
    let (mut pixels, mut labels) = (Vec::new(), Vec::new());
    for (i, &label) in dataset.labels().iter().enumerate() {
        let taken = &mut taken[usize::from(label)];
        if *taken < per_class {
            *taken += 1;
            labels.push(label);
            pixels.extend_from_slice(dataset.image(i));
        }
    }
    ensure!(taken.iter().all(|&n| n == per_class), "a class has fewer than {per_class} images: {taken:?}");
    Ok(Dataset::new(dims, pixels, labels)?)
}
