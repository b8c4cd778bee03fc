//! Inputs that are almost valid: altered valid files, and files assembled from valid and invalid parts.

use flate2::Compression;
use flate2::write::ZlibEncoder;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use rawzip::CompressionMethod;
use std::io::Write;

use super::common::{gzip, pickle_of, png_chunk, png_of, tar_header, tar_of};
use super::seeds;
use super::targets::{LABELS, RECORDS, npz_of};

/// An alteration of a file.
#[derive(Clone, Debug)]
enum Edit {
    /// Replaces bytes.
    Overwrite(Index, Vec<u8>),
    /// Inserts bytes.
    Insert(Index, Vec<u8>),
    /// Removes bytes.
    Remove(Index, usize),
    /// Inserts a copy of some bytes elsewhere.
    Copy(Index, usize, Index),
    /// Truncates the file.
    Cut(Index),
}

impl Edit {
    fn apply(self, bytes: &mut Vec<u8>) {
        let at = |index: Index| index.index(bytes.len() + 1);
        match self {
            Edit::Overwrite(index, patch) => {
                let start = at(index);
                let end = bytes.len().min(start + patch.len());
                bytes.splice(start..end, patch);
            }
            Edit::Insert(index, patch) => {
                let start = at(index);
                bytes.splice(start..start, patch);
            }
            Edit::Remove(index, count) => {
                let start = at(index);
                bytes.drain(start..bytes.len().min(start + count));
            }
            Edit::Copy(from, count, to) => {
                let (from, to) = (at(from), at(to));
                let copied = bytes[from..bytes.len().min(from + count)].to_vec();
                bytes.splice(to..to, copied);
            }
            Edit::Cut(index) => bytes.truncate(at(index)),
        }
    }
}

/// Numbers at the edges of their types.
const NUMBERS: [u64; 14] =
    [0, 1, 2, 3073, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 32, 1 << 62, i64::MAX as u64, u64::MAX];

/// Texts that are difficult for a parser.
const WORDS: [&str; 28] = [
    "0",
    "-1",
    "1e999",
    "NaN",
    "inf",
    "99999999999999999999",
    "1.5",
    "\"",
    "'",
    ",",
    "\n",
    "\r",
    "\0",
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    ":",
    "\\",
    "\\u0000",
    "\u{feff}",
    "..",
    "/",
    "null",
    "True",
    "\u{1b}[31m",
];

/// A few arbitrary bytes, a number in either byte order, or a word.
fn patch() -> impl Strategy<Value = Vec<u8>> {
    let number = (select(&NUMBERS[..]), select(&[1, 2, 4, 8][..]), any::<bool>()).prop_map(
        |(number, width, little)| match little {
            true => number.to_le_bytes()[..width].to_vec(),
            false => number.to_be_bytes()[8 - width..].to_vec(),
        },
    );
    prop_oneof![vec(any::<u8>(), 1..5), number, select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),]
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (any::<Index>(), patch()).prop_map(|(at, patch)| Edit::Overwrite(at, patch)),
        2 => (any::<Index>(), patch()).prop_map(|(at, patch)| Edit::Insert(at, patch)),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, count)| Edit::Remove(at, count)),
        1 => (any::<Index>(), 1..600usize, any::<Index>()).prop_map(|(from, count, to)| Edit::Copy(from, count, to)),
        1 => any::<Index>().prop_map(Edit::Cut),
    ]
}

/// One of `files` with up to four alterations, or arbitrary bytes.
pub fn altered(files: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let altered = (select(files), vec(edit(), 0..5)).prop_map(|(mut bytes, edits)| {
        for edit in edits {
            edit.apply(&mut bytes);
        }
        bytes
    });
    prop_oneof![15 => altered, 1 => vec(any::<u8>(), 0..200)]
}

/// A sequence of words and of pieces of `vocabulary`.
fn babble(vocabulary: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![3 => select(vocabulary), 1 => select(&WORDS[..])];
    vec(word, 0..20).prop_map(|words| words.concat().into_bytes())
}

/// `.npy` files with an assembled header, including its version and length.
pub fn npy() -> impl Strategy<Value = Vec<u8>> {
    let descr = select(vec![
        "'<f4'",
        "'<f8'",
        "'>f4'",
        "'>f8'",
        "'<i8'",
        "'|O'",
        "'<c16'",
        "'<f2'",
        "'|S0'",
        "'<f99999999999'",
        "'<U4'",
        "[('a', '<f4')]",
        "[('a', '<f8', (2, 3))]",
        "[]",
        "3",
        "''",
        "None",
    ]);
    let length = prop_oneof![4 => select(vec![1u64, 2, 3, 6]), 1 => select(&NUMBERS[..])];
    let shape = vec(length, 0..4).prop_map(|shape| {
        let lengths: String = shape.iter().map(|n| format!("{n}, ")).collect();
        format!("({lengths})")
    });
    let shape = prop_oneof![6 => Just("(2, 3)".to_owned()), 6 => shape, 1 => "[(\\[{}\\]),0-9_xL -]{0,30}"];
    let header = (
        prop_oneof![2 => Just("'<f4'"), 2 => Just("'<f8'"), 3 => descr],
        select(vec!["False", "True", "0", "None"]),
        shape,
    )
        .prop_map(|(descr, order, shape)| {
            format!("{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n")
        });
    let data = prop_oneof![
        3 => select(vec![0usize, 4, 8, 24, 48]),
        1 => 0..100usize,
    ];
    let length_error = prop_oneof![8 => Just(None), 1 => select(&NUMBERS[..]).prop_map(Some)];
    (prop_oneof![8 => 1..4u8, 1 => any::<u8>()], header, length_error, data, any::<u8>()).prop_map(
        |(version, header, length, data, fill)| {
            let mut bytes = b"\x93NUMPY".to_vec();
            bytes.extend([version, 0]);
            let length = length.unwrap_or(header.len() as u64).to_le_bytes();
            bytes.extend(&length[..if version == 1 { 2 } else { 4 }]);
            bytes.extend(header.into_bytes());
            bytes.resize(bytes.len() + data, fill);
            bytes
        },
    )
}

/// `.npz` files of one to three arrays with expected names, stored or compressed.
pub fn npz() -> impl Strategy<Value = Vec<u8>> {
    let name = select(vec![
        "W.npy",
        "b.npy",
        "x.npy",
        "y.npy",
        "lambda.npy",
        "grad_W.npy",
        "grad_b.npy",
        "../W.npy",
        "/W.npy",
        "W",
    ]);
    let entries = vec((name, npy()), 1..4);
    let method = select(vec![CompressionMethod::STORE, CompressionMethod::DEFLATE]);
    (entries, method).prop_map(|(entries, method)| {
        let entries: Vec<_> = entries.iter().map(|(n, b)| (*n, &b[..])).collect();
        npz_of(&entries, method)
    })
}

/// Model files with an assembled header.
pub fn model() -> impl Strategy<Value = Vec<u8>> {
    let number = || prop_oneof![6 => 0..13u64, 1 => select(&NUMBERS[..])];
    let tensor = (
        select(vec!["weight", "bias", "mean", "std", "other", "__metadata__", "\\u001b"]),
        prop_oneof![4 => Just("F32"), 1 => select(vec!["F64", "BOOL", "F4", "I8", "f32", "", "\\n"])],
        vec(number(), 0..4),
        vec(number(), 0..4),
    )
        .prop_map(|(name, dtype, shape, offsets)| {
            format!("\"{name}\":{{\"dtype\":\"{dtype}\",\"shape\":{shape:?},\"data_offsets\":{offsets:?}}}")
        });
    let right = Just(seeds::model_tensors());
    let tensors = prop_oneof![
        1 => vec(tensor.clone(), 0..5),
        2 => (right, any::<Index>(), tensor).prop_map(|(mut tensors, at, tensor)| {
            let at = at.index(tensors.len());
            tensors[at] = tensor;
            tensors
        }),
    ];
    let metadata = prop_oneof![
        3 => Just(seeds::model_metadata()),
        1 => select(vec!["\"__metadata__\":{}".to_owned(), "\"__metadata__\":{\"lambda\":1}".to_owned()]),
    ];
    let length_error = prop_oneof![8 => Just(None), 1 => select(&NUMBERS[..]).prop_map(Some)];
    (metadata, tensors, length_error, prop_oneof![4 => Just(56), 1 => 0..80usize]).prop_map(
        |(metadata, tensors, length, data)| {
            let header = format!("{{{metadata},{}}}", tensors.join(","));
            let length = length.unwrap_or(header.len() as u64);
            let mut bytes = length.to_le_bytes().to_vec();
            bytes.extend(header.into_bytes());
            bytes.extend((0..data).map(|i| if i % 4 == 3 { 0x3f } else { 0 }));
            bytes
        },
    )
}

/// JSON that is almost an array of labels.
pub fn labels() -> impl Strategy<Value = Vec<u8>> {
    let right: &'static str = &LABELS;
    let vocabulary = vec![
        right, "[", "]", ",", "3", "8", "9", "10", "255", "256", " ", "\n", "true", "{\"a\":", "}", "1.0", "1e1", "-0",
    ];
    prop_oneof![
        2 => babble(vocabulary.leak()),
        1 => altered(vec![right.into()]),
        1 => vec(0..12u8, 0..5).prop_map(|labels| format!("{labels:?}").into_bytes()),
        // Deep nesting must not exhaust the stack.
        1 => (1..3000usize).prop_map(|depth| vec![b'['; depth]),
    ]
}

/// Tables with a valid header, and rows of valid and invalid fields.
pub fn csv() -> impl Strategy<Value = Vec<u8>> {
    let header = select(
        seeds::csv()
            .iter()
            .map(|csv| {
                let end = csv.iter().position(|&b| b == b'\n').unwrap();
                csv[..=end].to_vec()
            })
            .collect::<Vec<_>>(),
    );
    let field = || {
        prop_oneof![
            6 => select(vec!["", "1", "0.5", "1e-3", "18446744073709551615", "-0", "lambda0_eta0.1"]),
            1 => select(&WORDS[..]),
        ]
    };
    header.prop_flat_map(move |header| {
        let columns = header.iter().filter(|&&b| b == b',').count() + 1;
        let row = prop_oneof![4 => vec(field(), columns), 1 => vec(field(), 0..30)];
        vec(row, 0..4).prop_map(move |rows| {
            let rows = rows.iter().map(|row| format!("{}\n", row.join(","))).collect::<String>();
            [&header[..], rows.as_bytes()].concat()
        })
    })
}

/// TOML that is almost a training job.
pub fn config() -> impl Strategy<Value = Vec<u8>> {
    let key = prop_oneof![
        8 => select(vec![
            "lambda", "eta", "loss", "decay_every", "decay_factor", "decay_patience", "flip", "batch_size", "epochs", "seed",
            "dataset", "train_batches", "validation_size", "validation_batches",
        ]),
        1 => select(vec!["other", "a.b", "\"\"", "[eta]", "[[eta]]", "é"]),
    ];
    let value = prop_oneof![
        8 => select(vec![
            "1", "0.5", "-3", "1e400", "nan", "\"bce\"", "\"softmax\"", "[1, 2]", "[300]", "9223372036854775807",
            "9223372036854775808", "\"é\"", "'''é'''", "1979-05-27", "{ a = 1 }", "true",
        ]).prop_map(str::to_owned),
        1 => select(&WORDS[..]).prop_map(str::to_owned),
        1 => (1..300usize).prop_map(|depth| "[".repeat(depth)),
    ];
    let line = (key, value).prop_map(|(key, value)| format!("{key} = {value}\n"));
    vec(line, 0..5).prop_map(|lines| lines.concat().into_bytes())
}

/// Checkpoints with some words and numbers of the header replaced.
pub fn checkpoint() -> impl Strategy<Value = Vec<u8>> {
    let words = select(vec![
        "true",
        "false",
        "NaN",
        "nobody",
        "18446744073709551615",
        "4",
        "3",
        "2",
        "1",
        "0",
        "F32",
        "F64",
        "U8",
    ]);
    let edits = vec((any::<Index>(), words), 1..4);
    (select(seeds::checkpoint().to_vec()), edits).prop_map(|(mut bytes, edits)| {
        for (at, word) in edits {
            let end = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
            let of_word = |i: usize| bytes[i].is_ascii_alphanumeric();
            let starts: Vec<_> = (9..end).filter(|&i| of_word(i) && !of_word(i - 1)).collect();
            let start = starts[at.index(starts.len())];
            let length = (start..end).take_while(|&i| of_word(i)).count();
            bytes.splice(start..start + length, word.bytes());
            let header = (end - 8 + word.len() - length) as u64;
            bytes[..8].copy_from_slice(&header.to_le_bytes());
        }
        bytes
    })
}

/// Pickles assembled from instructions, many of which are those of a valid one.
pub fn pickle() -> impl Strategy<Value = Vec<u8>> {
    let pixels = RECORDS.chunks(3073).flat_map(|record| record[1..].to_vec()).collect::<Vec<_>>();
    let counted =
        |code: u8, size: usize, length: u64, bytes: &[u8]| [&[code][..], &length.to_le_bytes()[..size], bytes].concat();
    let pieces = vec![
        b"\x80\x02}q\x01(".to_vec(),
        b"U\x06labels".to_vec(),
        b"](K\x00K\x01e".to_vec(),
        b"]M\x01\0aJ\xff\xff\xff\xffa".to_vec(),
        counted(b'T', 4, pixels.len() as u64, &pixels),
        counted(0x8e, 8, pixels.len() as u64, &pixels),
        counted(b'X', 4, 4, b"data"),
        b"cos\nsystem\n(U\x04truetR".to_vec(),
        b"c\n".to_vec(),
        b".".to_vec(),
        [&b"K\x01"[..], &b"2q\x01h\x01".repeat(1000)].concat(),
        b"(".repeat(5000),
    ];
    let length = (select(&b"UCTBX\x8c\x8d\x8e\x96\x8a"[..]), select(&NUMBERS[..]))
        .prop_map(|(code, length)| [&[code][..], &length.to_le_bytes()].concat());
    let piece = prop_oneof![12 => select(pieces), 1 => length, 1 => vec(any::<u8>(), 0..10)];
    vec(piece, 0..10).prop_map(|pieces| [&pieces.concat()[..], b"."].concat())
}

/// PNGs assembled from chunks, most with a valid checksum.
pub fn png() -> impl Strategy<Value = Vec<u8>> {
    let mut rows = Vec::new();
    for record in RECORDS.chunks(3073) {
        rows.push(0);
        for pixel in 1..1025 {
            rows.extend([record[pixel], record[1024 + pixel], record[2048 + pixel]]);
        }
    }
    let right = zlib(&rows);
    let bomb = zlib(&vec![0; 8 << 20]);
    let dimension = |right: u32| prop_oneof![8 => Just(right), 1 => select(vec![0, 1, 3, 1023, 1025, 0x7fff_ffff, 0x8000_0000, u32::MAX])];
    let header = (
        dimension(1024),
        dimension(2),
        prop_oneof![8 => Just([8, 2, 0, 0, 0]), 1 => any::<[u8; 5]>()],
        prop_oneof![12 => Just(0), 1 => select(vec![1, 16, 8, 3])],
        any::<Index>(),
    )
        .prop_map(|(width, height, mut rest, odd, at)| {
            if odd > 0 {
                rest[at.index(5)] = odd;
            }
            [&width.to_be_bytes()[..], &height.to_be_bytes(), &rest].concat()
        });
    let pixels = prop_oneof![
        8 => Just(right.clone()),
        1 => Just(bomb.clone()),
        1 => altered(vec![right.clone()]),
        1 => Just(right[..right.len() / 2].to_vec()),
    ];
    let names: Vec<[u8; 4]> = [
        *b"IHDR", *b"PLTE", *b"tRNS", *b"gAMA", *b"cHRM", *b"iCCP", *b"sRGB", *b"tEXt", *b"zTXt", *b"iTXt", *b"eXIf",
        *b"pHYs", *b"sBIT", *b"acTL", *b"fcTL", *b"fdAT", *b"IDAT", *b"IEND", *b"cICP", *b"mDCV", *b"cLLI", *b"bKGD",
    ]
    .into();
    let name = prop_oneof![6 => select(names), 1 => any::<[u8; 4]>()];
    let text = [&b"name\0\0"[..], &bomb].concat();
    let content = prop_oneof![4 => vec(any::<u8>(), 0..40), 1 => Just(text)];
    let extra = vec((name, content), 0..3);
    let wrong = prop_oneof![12 => Just(0), 1 => 1..4u8];
    (header, extra.clone(), pixels, extra, wrong, any::<Index>()).prop_map(
        |(header, before, pixels, after, wrong, at)| {
            let mut chunks = vec![(*b"IHDR", header)];
            chunks.extend(before);
            let half = pixels.len() / 2;
            chunks.push((*b"IDAT", pixels[..half].to_vec()));
            chunks.push((*b"IDAT", pixels[half..].to_vec()));
            chunks.extend(after);
            chunks.push((*b"IEND", Vec::new()));
            let at = at.index(chunks.len());
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            for (i, (name, content)) in chunks.iter().enumerate() {
                let wrong = if i == at { wrong } else { 0 };
                let mut crc = flate2::Crc::new();
                crc.update(name);
                crc.update(content);
                let length = if wrong == 1 { u32::MAX } else { content.len() as u32 };
                bytes.extend(length.to_be_bytes());
                bytes.extend(name);
                bytes.extend(content);
                bytes.extend((crc.sum() ^ u32::from(wrong == 2)).to_be_bytes());
                if wrong == 3 {
                    break;
                }
            }
            bytes
        },
    )
}

/// The contents of a PNG's header that vary.
#[derive(Clone, Copy, Debug)]
pub struct PngHeader {
    pub width: u32,
    pub height: u32,
    /// Bits of a sample.
    pub depth: u8,
    /// The colour type: 0 grey, 2 RGB, 3 palette, 4 grey and 6 RGB with transparency.
    pub color: u8,
    pub interlaced: bool,
}

impl PngHeader {
    /// The passes of the image data, as column, row and their steps (PNG specification, section 8.2).
    fn passes(&self) -> &'static [[u32; 4]] {
        match self.interlaced {
            false => &[[0, 0, 1, 1]],
            true => &[[0, 0, 8, 8], [4, 0, 8, 8], [0, 4, 4, 8], [2, 0, 4, 4], [0, 2, 2, 4], [1, 0, 2, 2], [0, 1, 1, 2]],
        }
    }

    /// The image data: rows without a filter. The samples of the pixel at each place are those of the stored picture.
    fn rows(&self, samples: &[u8]) -> Vec<u8> {
        let channels = [1, 0, 3, 1, 2, 0, 4].get(usize::from(self.color)).copied().unwrap_or(1);
        let bits = channels * usize::from(self.depth);
        let stride = (self.width as usize * bits).div_ceil(8);
        // A pixel is a number of bytes, or its bits lie in one byte.
        let bit = |place: usize| samples[place / 8] >> (7 - place % 8) & 1;
        let mut rows = Vec::new();
        for &[left, top, right, down] in self.passes() {
            let columns = || (left..self.width).step_by(right as usize);
            for row in (top..self.height).step_by(down as usize).filter(|_| columns().next().is_some()) {
                rows.push(0);
                let start = |column: u32| row as usize * stride * 8 + column as usize * bits;
                if bits.is_multiple_of(8) {
                    columns().for_each(|column| rows.extend(&samples[start(column) / 8..][..bits / 8]));
                    continue;
                }
                let bits: Vec<u8> =
                    columns().flat_map(|column| (0..bits).map(move |i| bit(start(column) + i))).collect();
                rows.extend(
                    bits.chunks(8).map(|byte| byte.iter().enumerate().fold(0, |sum, (i, bit)| sum | bit << (7 - i))),
                );
            }
        }
        rows
    }
}

/// A PNG of `samples`, packed row by row, with `chunks` between the header and the image data.
pub fn png_file(header: PngHeader, chunks: &[([u8; 4], Vec<u8>)], samples: &[u8]) -> Vec<u8> {
    png_assembled(header, chunks, &zlib(&header.rows(samples)))
}

fn png_assembled(header: PngHeader, chunks: &[([u8; 4], Vec<u8>)], data: &[u8]) -> Vec<u8> {
    let size = [header.width.to_be_bytes(), header.height.to_be_bytes()].concat();
    let rest = [header.depth, header.color, 0, 0, header.interlaced.into()];
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(png_chunk(b"IHDR", &[&size[..], &rest].concat()));
    for (name, content) in chunks {
        bytes.extend(png_chunk(name, content));
    }
    for (name, content) in [(b"IDAT", data), (b"IEND", &[])] {
        bytes.extend(png_chunk(name, content));
    }
    bytes
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Pictures of every colour type, depth and orientation, with valid checksums; and JPEGs with assembled segments.
pub fn picture() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![2 => picture_png(), 1 => picture_jpeg()]
}

fn picture_png() -> impl Strategy<Value = Vec<u8>> {
    let kinds = vec![
        (1, 0),
        (2, 0),
        (4, 0),
        (8, 0),
        (16, 0),
        (8, 2),
        (16, 2),
        (1, 3),
        (2, 3),
        (4, 3),
        (8, 3),
        (8, 4),
        (16, 4),
        (8, 6),
        (16, 6),
    ];
    let kind = prop_oneof![20 => select(kinds), 1 => any::<(u8, u8)>()];
    let length = || prop_oneof![20 => 1..40u32, 4 => 1..600u32, 1 => select(vec![0, 0x2000, 0x7fff_ffff, u32::MAX])];
    let header = (length(), length(), kind, any::<bool>())
        .prop_map(|(width, height, (depth, color), interlaced)| PngHeader { width, height, depth, color, interlaced });
    let chunk = prop_oneof![
        4 => (Just(*b"PLTE"), prop_oneof![vec(any::<u8>(), 768), vec(any::<u8>(), 0..20)]),
        4 => (Just(*b"tRNS"), prop_oneof![vec(0..4u8, 1..7), vec(any::<u8>(), 0..300)]),
        4 => (Just(*b"eXIf"), exif()),
        1 => (select(vec![*b"gAMA", *b"sBIT", *b"iCCP", *b"acTL", *b"fcTL", *b"cICP"]), vec(any::<u8>(), 0..30)),
    ];
    (header, vec(chunk, 0..4), 0..12u8, any::<u8>()).prop_map(|(header, mut chunks, wrong, fill)| {
        // Most with a palette have one.
        if header.color == 3 && wrong != 1 {
            chunks.insert(0, (*b"PLTE", (0..=255).cycle().take(768).collect()));
        }
        // The longest rows that fit into a test: the rest is missing.
        let PngHeader { width, height, .. } = header;
        let samples = (u64::from(width) * u64::from(height)).saturating_mul(8).min(1 << 16);
        let mut samples: Vec<u8> = (0..samples).map(|i| (i as u8).wrapping_mul(fill)).collect();
        if width.max(height) < 600 {
            samples.resize(width as usize * height as usize * 128, fill);
            samples = header.rows(&samples);
        }
        if wrong == 2 {
            samples.truncate(samples.len() / 2);
        }
        png_assembled(header, &chunks, &zlib(&samples))
    })
}

fn picture_jpeg() -> impl Strategy<Value = Vec<u8>> {
    let adobe =
        prop_oneof![0..4u8, any::<u8>()].prop_map(|transform| [&b"Adobe\0\x64\0\0\0\0"[..], &[transform]].concat());
    let segment = prop_oneof![
        3 => exif().prop_map(|block| (0xe1, [&b"Exif\0\0"[..], &block].concat())),
        1 => adobe.prop_map(|content| (0xee, content)),
        1 => (prop_oneof![0xe0..=0xef_u8, any::<u8>()], vec(any::<u8>(), 0..40)),
    ];
    let edits = prop_oneof![1 => Just(Vec::new()), 1 => vec(edit(), 0..3)];
    // Samples of a component across and down.
    let factors = select(vec![0x11, 0x12, 0x14, 0x21, 0x22, 0x24, 0x41, 0x42, 0x44, 0x31, 0x00, 0xff]);
    let sampling = vec((0..4usize, factors), 0..3);
    let files = select(seeds::jpegs().to_vec());
    (files, vec(segment, 0..4), sampling, edits).prop_map(|(mut bytes, segments, sampling, edits)| {
        let frame = bytes.windows(2).position(|marker| matches!(marker, [0xff, 0xc0 | 0xc2])).unwrap();
        for (component, factors) in sampling {
            bytes[frame + 11 + 3 * component] = factors;
        }
        for (marker, content) in segments {
            let length = (content.len() as u16 + 2).to_be_bytes();
            bytes.splice(2..2, [&[0xff, marker], &length[..], &content].concat());
        }
        for edit in edits {
            edit.apply(&mut bytes);
        }
        bytes
    })
}

/// EXIF blocks with a directory of entries that are almost those of a camera.
pub fn exif() -> impl Strategy<Value = Vec<u8>> {
    let offset = prop_oneof![8 => Just(8), 1 => 0..40u32, 1 => select(&NUMBERS[..]).prop_map(|number| number as u32)];
    let entry = (
        prop_oneof![3 => Just(0x0112), 1 => select(vec![0x0100, 0x010f, 0x1201, 0xffff])],
        prop_oneof![8 => Just(3), 1 => 0..12u16],
        prop_oneof![8 => Just(1), 1 => select(&NUMBERS[..]).prop_map(|number| number as u32)],
        prop_oneof![8 => 0..10u16, 1 => any::<u16>()],
    );
    let count_error = prop_oneof![8 => Just(None), 1 => any::<u16>().prop_map(Some)];
    let edits = prop_oneof![3 => Just(Vec::new()), 1 => vec(edit(), 0..3)];
    (any::<bool>(), offset, vec(entry, 0..5), count_error, edits).prop_map(|(big, offset, entries, count, edits)| {
        let short = |n: u16| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let long = |n: u32| if big { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut block = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        block.extend(long(offset));
        block.extend(short(count.unwrap_or(entries.len() as u16)));
        for (tag, kind, count, value) in entries {
            block.extend([short(tag), short(kind)].concat());
            block.extend(long(count));
            block.extend([short(value), [0, 0]].concat());
        }
        for edit in edits {
            edit.apply(&mut block);
        }
        block
    })
}

/// Tar archives of entries with valid and invalid names, types and sizes.
pub fn tar() -> impl Strategy<Value = Vec<u8>> {
    let name = prop_oneof![
        4 => Just("cifar-10-batches-bin/x.bin"),
        2 => Just("package/x.png"),
        2 => Just("package/x.json"),
        2 => Just("cifar-10-batches-py/x"),
        3 => select(vec![
            "", "/", "x.bin", "../x.bin", "/tmp/x.bin", "../../cifar-10-batches-bin/x.bin", "././@LongLink",
            "cifar-10-batches-bin/../../x.bin", "/cifar-10-batches-bin/x.bin", "./cifar-10-batches-bin/x.bin",
            "cifar-10-batches-bin\\x.bin", "package/x.png/", "package/\u{1b}[31m", "GNUSparseFile.0/x.bin",
        ]),
    ];
    let kind = prop_oneof![6 => Just(b'0'), 3 => select(&b"\x001234567LKSxgVMD"[..]), 1 => any::<u8>()];
    let content = select(vec![
        RECORDS.to_vec(),
        RECORDS.to_vec(),
        png_of(&RECORDS),
        pickle_of(&RECORDS),
        LABELS.as_bytes().to_vec(),
        b"30 path=cifar-10-batches-bin/x.bin\n20 size=6146\n99999999999999999999 linkpath=/etc\n".to_vec(),
        b"cifar-10-batches-bin/x.bin\0".to_vec(),
        vec![],
    ]);
    let size = prop_oneof![
        12 => Just(None),
        1 => select(&NUMBERS[..]).prop_map(|n| Some(base_256(n))),
        1 => any::<[u8; 12]>().prop_map(Some),
        1 => select(vec![*b"77777777777\0", *b"-0000000001\0", *b"            "]).prop_map(Some),
    ];
    let link = select(vec!["", "/etc/passwd", "../../x.bin", "x.bin"]);
    let magic = prop_oneof![
        4 => Just(*b"ustar\x0000"),
        1 => Just(*b"ustar  \0"),
        1 => Just([0; 8]),
    ];
    let entry = (name, kind, content, size, link, magic, 0..20u8).prop_map(
        |(name, kind, content, size, link, magic, damage)| {
            let mut header = tar_header(name, content.len() as u64);
            let bytes = header.as_mut_bytes();
            bytes[156] = kind;
            bytes[157..][..link.len()].copy_from_slice(link.as_bytes());
            bytes[257..265].copy_from_slice(&magic);
            if let Some(size) = size {
                bytes[124..136].copy_from_slice(&size);
            }
            header.set_cksum();
            if damage == 0 {
                header.as_mut_bytes()[148] ^= 1;
            }
            let mut entry = [&header.as_bytes()[..], &content].concat();
            entry.resize(entry.len().next_multiple_of(512), 0);
            entry
        },
    );
    (vec(entry, 0..6), 0..3usize).prop_map(|(entries, end)| {
        let mut bytes = entries.concat();
        bytes.resize(bytes.len() + end * 512, 0);
        bytes
    })
}

/// `number` in the encoding of tar headers for numbers that are too large for octal digits.
fn base_256(number: u64) -> [u8; 12] {
    let mut field = [0; 12];
    field[0] = 0x80;
    field[4..].copy_from_slice(&number.to_be_bytes());
    field
}

/// Heads of answers with valid and invalid lines, some of them very long.
pub fn head() -> impl Strategy<Value = Vec<u8>> {
    let status = prop_oneof![
        8 => select(vec!["HTTP/1.1 200 OK", "HTTP/1.0 206 Partial Content", "HTTP/2 302", "HTTP/1.1 416 x"]),
        1 => select(vec!["HTTP/1.1", "HTTP/1.1 20", "HTTP/ 200", "HTTP/1.1 +20 x", "HTTP/1.1 65736 x", "SSH-2.0", ""]),
    ];
    let name = prop_oneof![
        6 => select(vec!["Content-Length", "content-range", "LOCATION", "Transfer-Encoding", "X", "content-length "]),
        1 => select(&WORDS[..]),
    ];
    let number = select(&NUMBERS[..]).prop_map(|n| n.to_string());
    let value = prop_oneof![
        2 => number.clone(),
        2 => (number.clone(), number.clone(), number).prop_map(|(a, b, c)| format!("bytes {a}-{b}/{c}")),
        2 => select(&WORDS[..]).prop_map(String::from),
        1 => (1..70_000usize).prop_map(|length| "x".repeat(length)),
    ];
    let end = || select(vec!["\r\n", "\r\n", "\n", "\r", ""]);
    let header = (name, select(vec![": ", ":", " : ", ""]), value, end());
    let header = header.prop_map(|(name, colon, value, end)| format!("{name}{colon}{value}{end}"));
    (status, end(), vec(header, 0..6), end(), vec(any::<u8>(), 0..10)).prop_map(|(status, line, headers, end, body)| {
        [format!("{status}{line}{}{end}", headers.concat()).as_bytes(), &body].concat()
    })
}

/// Altered gzip files of valid archives.
pub fn archive() -> impl Strategy<Value = Vec<u8>> {
    let [official, npm, python] = seeds::tar();
    let empty = tar_of(&[]);
    altered(vec![
        gzip(&official, Compression::fast()),
        gzip(&npm, Compression::fast()),
        gzip(&python, Compression::fast()),
        gzip(&official, Compression::none()),
        gzip(&empty, Compression::fast()),
        [gzip(&empty, Compression::fast()), gzip(&official, Compression::fast())].concat(),
    ])
}
