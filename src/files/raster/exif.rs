//! The orientation of a picture, from its EXIF block.
//!
//! A camera stores the rows of its sensor as they are, and notes in the block how it was held. The block is a TIFF file
//! without a picture (TIFF 6.0, section 2; Exif 2.3, section 4.6.4): a header that gives the byte order and the place
//! of a directory, and the directory, whose entries have 12 bytes each.

/// The tag of the entry with the orientation.
const ORIENTATION: u16 = 0x0112;
/// The type of its value: an unsigned number of 16 bits.
const SHORT: u16 = 3;
/// Length of an entry: tag, type, number of values, value or place of the values.
const ENTRY_BYTES: usize = 12;

/// The position of a stored picture relative to the upright one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Orientation {
    /// True if the rows of the stored picture are the columns of the upright one.
    transposed: bool,
    /// True if the columns are stored from the last to the first.
    columns_reversed: bool,
    /// True if the rows are stored from the last to the first.
    rows_reversed: bool,
}

impl Orientation {
    /// The orientation in the EXIF `block`; as stored if there is none, or the block is malformed.
    pub(super) fn of(block: &[u8]) -> Self {
        // 1 to 8 stand for the sides of the upright picture where the first row and the first column are stored: top
        // and left, top right, bottom right, bottom left; then left and top, right top, right bottom, left bottom.
        let (transposed, columns_reversed, rows_reversed) = match number(block) {
            Some(2) => (false, true, false),
            Some(3) => (false, true, true),
            Some(4) => (false, false, true),
            Some(5) => (true, false, false),
            Some(6) => (true, false, true),
            Some(7) => (true, true, true),
            Some(8) => (true, true, false),
            _ => (false, false, false),
        };
        Self { transposed, columns_reversed, rows_reversed }
    }

    /// Width and height of the upright picture, for those of the stored one.
    pub(super) fn upright(self, (width, height): (usize, usize)) -> (usize, usize) {
        if self.transposed { (height, width) } else { (width, height) }
    }

    /// Column and row at which the pixel (`x`, `y`) of the upright picture is stored, for the stored width and height.
    pub(super) fn stored(self, (x, y): (usize, usize), (width, height): (usize, usize)) -> (usize, usize) {
        let (column, row) = if self.transposed { (y, x) } else { (x, y) };
        (
            if self.columns_reversed { width - 1 - column } else { column },
            if self.rows_reversed { height - 1 - row } else { row },
        )
    }
}

/// The number that gives the orientation in the EXIF `block`, if there is one.
fn number(block: &[u8]) -> Option<u16> {
    let (order, rest) = block.split_first_chunk::<4>()?;
    let big_endian = match order {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let short = |&bytes| if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
    let long = |&bytes| if big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) };
    let directory = block.get(usize::try_from(long(rest.first_chunk()?)).ok()?..)?;
    let (count, entries) = directory.split_first_chunk()?;
    entries.chunks_exact(ENTRY_BYTES).take(short(count).into()).find_map(|entry| {
        let (tag, rest) = entry.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (values, value) = rest.split_first_chunk()?;
        let found = short(tag) == ORIENTATION && short(kind) == SHORT && long(values) == 1;
        found.then_some(short(value.first_chunk()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A block in either byte order whose second entry is the orientation `value`.
    fn block(big_endian: bool, value: u16) -> Vec<u8> {
        let short = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let long = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let mut block = if big_endian { b"MM".to_vec() } else { b"II".to_vec() };
        block.extend(short(42));
        // The directory need not follow the header at once.
        block.extend(long(10));
        block.extend([0, 0]);
        block.extend(short(2));
        for (tag, value) in [(0x0100, 9), (ORIENTATION, value)] {
            block.extend([short(tag), short(SHORT)].concat());
            block.extend(long(1));
            block.extend([short(value), [0, 0]].concat());
        }
        block
    }

    #[test]
    fn the_number_is_found_in_both_byte_orders() {
        for big_endian in [false, true] {
            for value in [1, 6, 8, 9, 0x0600] {
                assert_eq!(number(&block(big_endian, value)), Some(value));
            }
        }
    }

    #[test]
    fn a_malformed_block_leaves_the_picture_as_stored() {
        let good = block(true, 6);
        assert_ne!(Orientation::of(&good), Orientation::default());
        for length in 0..good.len() - 2 {
            assert_eq!(Orientation::of(&good[..length]), Orientation::default(), "{length}");
        }
        // Another byte order, a directory outside the block, another type, two values, no such orientation.
        for (place, byte) in [(0, b'I'), (4, 0xff), (27, 4), (31, 2), (33, 0), (33, 9), (32, 1)] {
            let mut bad = good.clone();
            bad[place] = byte;
            assert_eq!(Orientation::of(&bad), Orientation::default(), "{place}");
        }
    }

    #[test]
    fn each_orientation_is_undone() {
        // The letter F, upright, and as stored in each orientation: the example of the Exif specification.
        let upright = ["###", "#..", "##.", "#..", "#.."];
        let stored: [&[&str]; 8] = [
            &["###", "#..", "##.", "#..", "#.."],
            &["###", "..#", ".##", "..#", "..#"],
            &["..#", "..#", ".##", "..#", "###"],
            &["#..", "#..", "##.", "#..", "###"],
            &["#####", "#.#..", "#...."],
            &["#....", "#.#..", "#####"],
            &["....#", "..#.#", "#####"],
            &["#####", "..#.#", "....#"],
        ];
        for (number, stored) in (1..).zip(stored) {
            let orientation = Orientation::of(&block(false, number));
            let size = (stored[0].len(), stored.len());
            assert_eq!(orientation.upright(size), (3, 5));
            for (y, line) in upright.iter().enumerate() {
                for (x, pixel) in line.bytes().enumerate() {
                    let (column, row) = orientation.stored((x, y), size);
                    assert_eq!(stored[row].as_bytes()[column], pixel, "orientation {number}: ({x}, {y})");
                }
            }
        }
    }

    #[test]
    fn only_the_entries_that_the_directory_counts_are_looked_at() {
        let mut block = block(true, 6);
        assert_eq!(number(&block), Some(6));
        // The directory begins at byte 10 with the number of its entries; the orientation is the second.
        for (count, found) in [(0, None), (1, None), (3, Some(6)), (0xff, Some(6))] {
            block[11] = count;
            assert_eq!(number(&block), found, "{count}");
        }
    }

    #[test]
    fn a_place_beyond_the_block_is_not_looked_for() {
        for place in [[0xff; 4], [0, 0, 0, 38], [0, 0, 0, 37], [0, 0, 0, 9]] {
            let mut block = block(true, 6);
            assert_eq!(block.len(), 36);
            block[4..8].copy_from_slice(&place);
            assert_eq!(number(&block), None, "{place:?}");
        }
        for short in [&b""[..], b"MM\0", b"MM\0*", b"MM\0*\0\0\0"] {
            assert_eq!(number(short), None);
        }
    }

    #[test]
    fn each_number_turns_the_sides() {
        let turned = [1, 2, 3, 4, 5, 6, 7, 8, 0, 9].map(|number| Orientation::of(&block(true, number)).upright((7, 3)));
        assert_eq!(turned, [(7, 3), (7, 3), (7, 3), (7, 3), (3, 7), (3, 7), (3, 7), (3, 7), (7, 3), (7, 3)]);
    }
}
