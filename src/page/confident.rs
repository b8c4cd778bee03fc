//! The most confident predictions of a model, cut out of the figure that `evaluate` draws, so that they fit any width and a dark
//! page.

use std::path::Path;

use crate::error::{Error, Result};
use crate::evaluate::Confusion;
use crate::figures::confident::{IMAGES, SIZE, corner};
use crate::files::raster::{Decoder, Format};
use crate::page::contents::{file, picture};

/// `confident_<name>.png`.
pub struct Confident {
    pub bytes: Vec<u8>,
    /// The upper left corners of the right and of the wrong predictions.
    pub kinds: [(&'static str, Vec<(u32, u32)>); 2],
}

impl Confident {
    /// That of the model `name`, if it is in `folder`. `confusion` is that of the same images.
    pub fn read(folder: &Path, name: &str, confusion: Option<&Confusion>) -> Result<Option<Self>> {
        let corners = |kind: u32| {
            let number = confusion.map_or(IMAGES, |confusion| match kind {
                0 => confusion.correct(),
                _ => confusion.counts().iter().sum::<usize>() - confusion.correct(),
            });
            (0..number.min(IMAGES) as u32).map(|i| corner(kind, i)).collect()
        };
        file(folder, &format!("confident_{name}.png"), |bytes, path| {
            let bytes = picture(bytes, path)?;
            let found = Decoder::new(&bytes, Format::Png).map(|png| png.size()).unwrap_or_default();
            let (width, height) = SIZE;
            if found != (width as usize, height as usize) {
                let reason =
                    format!("must be a figure of {width} × {height} pixels, but has {} × {}", found.0, found.1);
                return Err(Error::format(path, reason + "; `onelayer evaluate` draws it"));
            }
            Ok(Self { bytes, kinds: [("right", corners(0)), ("wrong", corners(1))] })
        })
    }
}
