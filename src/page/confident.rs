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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::figures::confident_figure;

    #[test]
    fn a_figure_has_as_many_confident_predictions_of_a_kind_as_the_model_made() {
        let folder = tempfile::tempdir().unwrap();
        let figure = confident_figure("a title", &[], &[]).unwrap();
        fs::write(folder.path().join("confident_a.png"), &figure).unwrap();
        let numbers = |confusion: Option<&Confusion>| {
            let found = Confident::read(folder.path(), "a", confusion).unwrap().unwrap();
            assert_eq!(found.bytes, figure);
            for (kind, (_, corners)) in (0..).zip(&found.kinds) {
                let expected = (0..corners.len() as u32).map(|i| corner(kind, i));
                assert_eq!(*corners, expected.collect::<Vec<_>>());
            }
            found.kinds.map(|(kind, corners)| (kind, corners.len()))
        };
        let confusion = |right: usize, wrong: usize| Confusion::from_counts(2, vec![right, wrong, 0, 0]);
        assert_eq!(numbers(Some(&confusion(3, 2))), [("right", 3), ("wrong", 2)]);
        assert_eq!(numbers(Some(&confusion(0, 11))), [("right", 0), ("wrong", 10)]);
        assert_eq!(numbers(Some(&confusion(10, 9))), [("right", 10), ("wrong", 9)]);
        assert_eq!(numbers(None), [("right", 10), ("wrong", 10)]);
        assert!(Confident::read(folder.path(), "b", None).unwrap().is_none());
    }
}
