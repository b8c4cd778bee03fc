//! `predict`: the program on image files, valid and invalid.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use onelayer::dataset::cifar10::{CLASS_NAMES, PLANE};
use onelayer::dataset::normalizer::Normalizer;
use onelayer::dataset::{Dataset, sample};
use onelayer::evaluate::outcomes;
use onelayer::hyperparameters::Loss;
use onelayer::train::model::ModelFile;
use tempfile::TempDir;

use crate::common::{jpeg_with_exif, png_with};

/// A model that was trained on the report's data.
const MODEL: &str = "results/model_lambda0.1_eta0.001.safetensors";

/// A folder of pictures.
struct Pictures(TempDir);

impl Pictures {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }
}

fn onelayer(arguments: &[&str], images: &[PathBuf]) -> Output {
    Command::new(crate::program()).args(["predict", MODEL]).args(arguments).args(images).output().unwrap()
}

/// The table of `images`.
fn table(images: &[PathBuf]) -> Vec<Vec<String>> {
    let output = onelayer(&["--csv"], images);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    let mut reader = csv::Reader::from_reader(&output.stdout[..]);
    assert_eq!(reader.headers().unwrap().len(), 3 + CLASS_NAMES.len());
    let rows = reader.records().map(Result::unwrap);
    rows.map(|row| row.iter().map(str::to_owned).collect()).collect()
}

fn test_images() -> Dataset {
    sample::load(Path::new(sample::DEFAULT_DIR)).unwrap().test
}

/// The rows of a picture's pixels.
type Picture = Vec<Vec<[u8; 3]>>;

/// The picture of this size with the pixel at each column and row.
fn picture_from(width: usize, height: usize, pixel: impl Fn(usize, usize) -> [u8; 3]) -> Picture {
    (0..height).map(|y| (0..width).map(|x| pixel(x, y)).collect()).collect()
}

/// Image `i` of the sample as a picture.
fn picture(images: &Dataset, i: usize) -> Picture {
    let bytes = images.image(i);
    picture_from(32, 32, |x, y| [0, 1, 2].map(|channel| bytes[channel * PLANE + y * 32 + x]))
}

fn png(picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture[0].len() as u32, picture.len() as u32);
    png_with(width, height, png::ColorType::Rgb, &picture.concat().concat())
}

fn jpeg(picture: &Picture) -> Vec<u8> {
    let (width, height) = (picture[0].len() as u16, picture.len() as u16);
    let mut bytes = Vec::new();
    let encoder = jpeg_encoder::Encoder::new(&mut bytes, 75);
    encoder.encode(&picture.concat().concat(), width, height, jpeg_encoder::ColorType::Rgb).unwrap();
    bytes
}

/// An EXIF block that gives the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    // A big-endian TIFF header and one entry: tag 0x0112, a SHORT, one of it.
    let mut exif = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".to_vec();
    exif.extend([orientation, 0, 0, 0, 0, 0, 0]);
    exif
}

#[test]
fn a_cifar_10_image_has_the_same_probabilities_as_a_png_and_in_its_data_file() {
    let pictures = Pictures::new();
    let images = test_images();
    let paths: Vec<_> = (0..20)
        .map(|i| {
            let png = png(&picture(&images, i));
            pictures.write(&format!("{i}.png"), &png)
        })
        .collect();
    let model = ModelFile::from_bytes(&fs::read(MODEL).unwrap(), Path::new(MODEL)).unwrap();
    let normalizer = Normalizer::new(model.mean, model.std).unwrap();
    let outcomes = outcomes(&[(&model.parameters, Loss::Softmax)], &images, &normalizer).unwrap().remove(0);
    let rows = table(&paths);
    assert_eq!(rows.len(), 20);
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row[0], paths[i].to_str().unwrap());
        let class = usize::from(outcomes.predicted[i]);
        let expected = &outcomes.probabilities[i * 10..(i + 1) * 10];
        assert_eq!(row[1], CLASS_NAMES[class]);
        let numbers: Vec<f32> = row[2..].iter().map(|f| f.parse().unwrap()).collect();
        assert_eq!(numbers[0], expected[class]);
        assert_eq!(numbers[1..], *expected);
    }
}

#[test]
fn a_large_photograph_is_classified_as_its_small_version_and_rotated_by_its_exif_orientation() {
    let pictures = Pictures::new();
    // One that is classified differently when it is rotated.
    let small = picture(&test_images(), 11);
    // Nearest neighbours: each pixel becomes a square of 20×20 in the middle; the margins on both sides are cropped.
    let large = picture_from(1000, 640, |x, y| match x {
        180..820 => small[y / 20][(x - 180) / 20],
        _ => [255, 0, 255],
    });
    // Rotated by 90 degrees to the left, and the orientation that says to rotate it to the right (6).
    let lying = jpeg(&picture_from(640, 1000, |x, y| large[x][999 - y]));
    let rows = table(&[
        pictures.write("small.png", &png(&small)),
        pictures.write("large.jpg", &jpeg(&large)),
        pictures.write("noted.jpeg", &jpeg_with_exif(&lying, &exif(6))),
        pictures.write("unnoted.jpg", &lying),
    ]);
    let probability = |row: &[String]| -> Vec<f32> { row[3..].iter().map(|field| field.parse().unwrap()).collect() };
    let distance = |row: &[String]| {
        let pairs = probability(row).into_iter().zip(probability(&rows[0]));
        pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
    };
    assert!(distance(&rows[1]) < 0.05, "{:?}", rows[1]);
    assert!(distance(&rows[2]) < 0.05, "{:?}", rows[2]);
    assert!(distance(&rows[3]) > 0.5, "{:?}", rows[3]);
}

#[test]
fn charts_are_80_columns_wide_without_control_characters() {
    let pictures = Pictures::new();
    let png = png(&picture(&test_images(), 3));
    let paths = [pictures.write("a.png", &png), pictures.write("\x1b[31mred.png", &png)];
    let output = onelayer(&[], &paths);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
    assert_eq!(text.lines().count(), 2 * 6 + 1);
    let charts = text.lines().filter(|line| line.starts_with("  "));
    assert!(charts.clone().all(|line| line.chars().count() <= 80));
    assert!(charts.clone().all(|line| line.ends_with(" %")));
    assert_eq!(charts.count(), 10);
}

#[test]
fn a_file_that_is_not_an_image_is_named_and_the_others_are_classified() {
    let pictures = Pictures::new();
    let png = png(&picture(&test_images(), 3));
    // A palette of a colour and a third, on which the decoder panics.
    let mut palette = Vec::new();
    let mut encoder = png::Encoder::new(&mut palette, 1, 1);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::One);
    encoder.set_palette(vec![0; 4]);
    encoder.write_header().unwrap().write_image_data(&[0]).unwrap();
    let paths = [
        pictures.write("text.png", b"not a picture"),
        pictures.write("palette.png", &palette),
        pictures.write("good.png", &png),
        pictures.write("empty.jpg", b""),
        pictures.write("short.png", &png[..png.len() / 2]),
        pictures.path("missing.png"),
        pictures.0.path().to_owned(),
    ];
    let output = onelayer(&["--csv"], &paths);
    assert_eq!(output.status.code(), Some(1));
    let table = String::from_utf8(output.stdout).unwrap();
    assert_eq!(table.lines().count(), 2);
    assert!(table.contains("good.png,"), "{table}");
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert_eq!(errors.len(), 6, "{errors:?}");
    for (error, words) in errors.iter().zip([
        ["text.png", "must be a PNG or JPEG image"],
        ["palette.png", "the decoder fails on it"],
        ["empty.jpg", "must be a PNG or JPEG image"],
        ["short.png", "cannot be decoded: the file ends before the image does: copy or save it again"],
        ["missing.png", "cannot read"],
        ["", "it is a folder; name a file"],
    ]) {
        assert!(error.starts_with("error: "), "{error}");
        assert!(words.iter().all(|word| error.contains(word)), "{error}");
    }
}

#[test]
fn huge_files_and_huge_images_are_refused_before_they_are_decoded() {
    let pictures = Pictures::new();
    let long = pictures.path("long.png");
    File::create(&long).unwrap().set_len((64 << 20) + 1).unwrap();
    // Small files that declare many pixels: in the first chunk of a PNG and in the frame header of a JPEG.
    let mut png = png(&picture_from(1, 1, |_, _| [0; 3]));
    png[16..24].copy_from_slice(&[0, 1, 0x86, 0xa0, 0, 1, 0x86, 0xa0]);
    let crc = crc32(&png[12..29]).to_be_bytes();
    png[29..33].copy_from_slice(&crc);
    let mut jpeg = jpeg(&picture_from(8, 8, |_, _| [0; 3]));
    let frame = jpeg.windows(2).position(|w| w == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let output = onelayer(&[], &[long, pictures.write("many.png", &png), pictures.write("many.jpg", &jpeg)]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    let errors: Vec<_> = errors.lines().collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors[0].contains("at most 64 MiB"), "{errors:?}");
    assert!(errors[1].contains("at most 67108864 pixels, but this one has 100000×100000"), "{errors:?}");
    assert!(errors[2].contains("but this one has 65535×65535"), "{errors:?}");
    assert!(output.stdout.is_empty());
}

/// The checksum of a PNG chunk.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[test]
fn the_dialect_applies_to_the_table_and_is_refused_for_charts() {
    let pictures = Pictures::new();
    let png = png(&picture(&test_images(), 3));
    let path = [pictures.write("a.png", &png)];
    let output = onelayer(&["--csv", "--csv-dialect", "semicolon"], &path);
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.starts_with("image;class;probability;airplane;"), "{table}");
    let fields: Vec<_> = table.lines().nth(1).unwrap().split(';').collect();
    assert!(fields[2..].iter().all(|field| !field.contains('.')), "{table}");
    assert!(fields[2].starts_with("0,"), "{table}");

    let output = onelayer(&["--csv-dialect", "semicolon"], &path);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_file_that_is_not_a_model_is_refused() {
    for (model, words) in [("Cargo.toml", "must be a model_*.safetensors"), ("nowhere", "cannot read MODEL nowhere")] {
        let output = Command::new(crate::program()).args(["predict", model, "a.png"]).output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1));
        assert!(stderr.starts_with("error: ") && stderr.contains(words), "{stderr}");
        assert_eq!(stderr.lines().count(), 1, "{stderr}");
    }
}

#[test]
fn the_percentages_of_sigmoids_are_explained() {
    let pictures = Pictures::new();
    let image = pictures.write("image.png", &png(&picture(&test_images(), 0)));
    let softmax = String::from_utf8(onelayer(&[], std::slice::from_ref(&image)).stdout).unwrap();
    let mut model = ModelFile::from_bytes(&fs::read(MODEL).unwrap(), Path::new(MODEL)).unwrap();
    model.hyperparameters.loss = Loss::Bce;
    model.setting = model.hyperparameters.setting().unwrap().name();
    let model = pictures.write("model.safetensors", &model.to_bytes().unwrap());
    let output = Command::new(crate::program()).arg("predict").args([&model, &image]).output().unwrap();
    let sigmoids = String::from_utf8(output.stdout).unwrap();
    let note = "need not add up to 100 %";
    assert!(sigmoids.contains(note) && !softmax.contains(note), "{sigmoids}");
}
