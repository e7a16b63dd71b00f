//! Listings: address, bytes and text of every instruction of a function.
//!
//! The one idea: the text comes from the machine instructions themselves, by a function of the instruction set in
//! use, and the bytes from the buffer that they were encoded into; nothing is disassembled. An instruction without
//! bytes (a label) gets a line of its own; the constant pool follows the code, eight bytes to a line.

#![forbid(unsafe_code)]

use std::fmt::Write;

use super::MInst;
use super::buffer::CodeBuffer;

/// Bytes in a line; longer instructions continue on the next one.
const PER_LINE: usize = 8;

/// Appends the listing of the code in `buffer`, which was encoded from `insts`, in this order, with marks.
///
/// A line is the offset in hexadecimal, the bytes, and the text.
pub(crate) fn write<'a>(
    insts: impl Iterator<Item = &'a MInst>,
    buffer: &CodeBuffer,
    push_text: fn(&MInst, &mut String),
    out: &mut String,
) {
    let bytes = buffer.bytes();
    let ends = buffer.marks().iter().skip(1).map(|&end| end as usize).chain([buffer.code_len()]);
    let mut text = String::new();
    for ((inst, &start), end) in insts.zip(buffer.marks()).zip(ends) {
        text.clear();
        push_text(inst, &mut text);
        push_line(start as usize, &bytes[start as usize..end], &text, out);
    }
    let mut at = buffer.code_len();
    while at < bytes.len() {
        let end = bytes.len().min((at + PER_LINE) / PER_LINE * PER_LINE);
        push_line(at, &bytes[at..end], if at == buffer.code_len() { "; constants" } else { "" }, out);
        at = end;
    }
}

fn push_line(start: usize, bytes: &[u8], text: &str, out: &mut String) {
    if bytes.is_empty() {
        out.push_str(text);
        out.push('\n');
        return;
    }
    for (line, part) in bytes.chunks(PER_LINE).enumerate() {
        // Writing to a String cannot fail.
        let _ = write!(out, "{:6x}  ", start + line * PER_LINE);
        for byte in part {
            let _ = write!(out, "{byte:02X} ");
        }
        if line == 0 && !text.is_empty() {
            for _ in part.len()..PER_LINE {
                out.push_str("   ");
            }
            out.push(' ');
            out.push_str(text);
        } else {
            out.pop();
        }
        out.push('\n');
    }
}
