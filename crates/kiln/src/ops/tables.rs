//! Tables of constants that math kernels look values up in.
//!
//! The one idea: a table has eight entries of 64 bits, which is a register of 512 bits, so that looking up is a permutation of
//! lanes and no access to memory. What an entry means, the bits of a float or an int, is known to who looks it up.
//! To add a table: its number and its row. `scripts/math/tables.py` makes the rows.

/// How many entries a table has.
pub(crate) const ENTRIES: usize = 8;

/// The bits of 2^(j/8), rounded.
pub(crate) const EXP2_HIGH: i64 = 0;
/// What rounding has taken from them.
pub(crate) const EXP2_LOW: i64 = 1;
/// Reciprocals of eight numbers in the middle of eighths of an octave, with few bits.
pub(crate) const LOG_INVERSE: i64 = 2;
/// The logarithms of these numbers, to multiples of 2^-42.
pub(crate) const LOG_HIGH: i64 = 3;
/// What is left of them.
pub(crate) const LOG_LOW: i64 = 4;
/// The arctangents of j/8, to multiples of 2^-49.
pub(crate) const ATAN_HIGH: i64 = 5;
/// What is left of them.
pub(crate) const ATAN_LOW: i64 = 6;
/// 2^(-j/3), of which the first three count.
pub(crate) const CBRT_INVERSE: i64 = 7;
/// The bits of 2^(-j/8) / 16, rounded.
pub(crate) const EXP2_DOWN_HIGH: i64 = 8;
/// What rounding has taken from them.
pub(crate) const EXP2_DOWN_LOW: i64 = 9;

// Not a `static`, which would be memory that stores might change as far as the compiler knows where a look-up is inlined.
#[rustfmt::skip]
const TABLES: &[[u64; ENTRIES]; 10] = &[
    [0x3ff0000000000000, 0x3ff172b83c7d517b, 0x3ff306fe0a31b715, 0x3ff4bfdad5362a27, 0x3ff6a09e667f3bcd, 0x3ff8ace5422aa0db, 0x3ffae89f995ad3ad, 0x3ffd5818dcfba487],
    [0x0000000000000000, 0xbc819041b9d78a76, 0x3c86f46ad23182e4, 0x3c7d4397afec42e2, 0xbc9bdd3413b26456, 0x3c96e9f156864b27, 0x3c97a1cd345dcc81, 0x3c82ed02d75b3707],
    [0x3ff0000000000000, 0x3fed000000000000, 0x3fea000000000000, 0x3fe7a00000000000, 0x3fe5a00000000000, 0x3fe4000000000000, 0x3fe2800000000000, 0x3fe1400000000000],
    [0x0000000000000000, 0x3fb9335e5d594000, 0x3fca93ed3c8ae000, 0x3fd36b6776be1000, 0x3fd914a8635bf000, 0x3fde148a1a272000, 0x3fe188ee40f24000, 0x3fe3c6080c36c000],
    [0x0000000000000000, 0x3d23115c3abd47da, 0xbd28724350562169, 0x3d116ecdb0f177c8, 0x3d3a2652b44673e1, 0x3d3b36537e3375b2, 0xbd3accec41d52e6c, 0xbd02b7367cfe13c2],
    [0x0000000000000000, 0x3fbfd5ba9aac2f80, 0x3fcf5b75f92c80c0, 0x3fd6f61941e4df00, 0x3fddac670561bb40, 0x3fe1e00babdefeb0, 0x3fe4978fa3269ee0, 0x3fe700a7c5784630],
    [0x0000000000000000, 0xbcb239a6ed0cec18, 0x3ccd62adb8f3debf, 0xbccee31d5737b749, 0x3cced15bf9117b2f, 0x3cbf9b5c835e1666, 0x3ca2483350fe548b, 0x3cbe73cb2da55211],
    [0x3ff0000000000000, 0x3fe965fea53d6e3d, 0x3fe428a2f98d728b, 0x3ff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000, 0x3ff0000000000000],
    [0x3fb0000000000000, 0x3fad5818dcfba487, 0x3faae89f995ad3ad, 0x3fa8ace5422aa0db, 0x3fa6a09e667f3bcd, 0x3fa4bfdad5362a27, 0x3fa306fe0a31b715, 0x3fa172b83c7d517b],
    [0x0000000000000000, 0x3c32ed02d75b3707, 0x3c47a1cd345dcc81, 0x3c46e9f156864b27, 0xbc4bdd3413b26456, 0x3c2d4397afec42e2, 0x3c36f46ad23182e4, 0xbc319041b9d78a76],
];

/// The table with this number, modulo how many there are.
#[inline]
pub(crate) fn entries(table: i64) -> &'static [u64; ENTRIES] {
    &TABLES[(table as usize) % TABLES.len()]
}

/// The entry with this number, modulo how many there are.
#[inline]
pub(crate) fn lookup(index: i64, table: i64) -> i64 {
    entries(table)[index as usize % ENTRIES] as i64
}
