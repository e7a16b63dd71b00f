//! Reads the manual's notation: from a row's text to the small struct that the encoder indexes.
//!
//! The one idea: everything here is `const fn` and panics on what it does not understand, so a malformed row of the
//! instruction table does not compile, and nothing is parsed when the program runs.
//!
//! A row has four columns (see the legend in [`super::insts`]). The operand text says which slot of
//! [`MInst::regs`](crate::mach::MInst) is which field of the encoding by the manual's own habits: the operand that
//! may be memory is ModRM.rm, else the last one is; of the others the first is ModRM.reg (if the encoding has `/r`),
//! the next `vvvv`, the next the register in `/is4`; when three operands start with memory, `vvvv` comes before
//! ModRM.reg. The size of the memory operand is also the EVEX displacement scale (disp8*N), so that the manual's
//! tuple types need no column. Nothing here knows a particular instruction.

#![forbid(unsafe_code)]

use super::features::Features;
use super::regs::Width;

/// A row of the instruction table.
pub(crate) struct Row {
    /// What the encoder reads.
    pub(crate) code: Code,
    /// What everybody else reads.
    pub(crate) info: Info,
}

/// The three ways in which an instruction spells its prefixes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Space {
    /// Prefix bytes, REX and escape bytes.
    Legacy,
    /// The two- or three-byte AVX prefix.
    Vex,
    /// The four-byte AVX-512 prefix.
    Evex,
}

/// An operand's place in [`MInst`](crate::mach::MInst): `regs[0]`, `regs[1]`, `regs[2]`, `mask`, or nowhere.
pub(crate) const NOWHERE: u8 = 4;

/// What the encoder needs to know about an instruction.
#[derive(Clone, Copy)]
pub(crate) struct Code {
    /// How the prefixes are spelled.
    pub(crate) space: Space,
    /// Mandatory prefix as VEX.pp numbers it: none, 66, F3, F2.
    pub(crate) pp: u8,
    /// Opcode map as VEX.mmmmm numbers it: none, 0F, 0F 38, 0F 3A.
    pub(crate) map: u8,
    /// The opcode byte.
    pub(crate) opcode: u8,
    /// REX.W, VEX.W or EVEX.W.
    pub(crate) w: u8,
    /// Vector length: 128, 256, 512.
    pub(crate) length: u8,
    /// Slot of the operand in ModRM.reg.
    pub(crate) reg: u8,
    /// Slot of the operand in ModRM.rm, or in the opcode byte.
    pub(crate) rm: u8,
    /// Slot of the operand in `vvvv`.
    pub(crate) vvvv: u8,
    /// Slot of the operand in the `/is4` immediate.
    pub(crate) is4: u8,
    /// What stands in ModRM.reg when no operand does: `/digit`.
    pub(crate) digit: u8,
    /// Bytes of immediate or relative target.
    pub(crate) imm: u8,
    /// Logarithm of the displacement scale: of the whole memory operand, and of one element when it is broadcast.
    pub(crate) scale: [u8; 2],
    /// Which of the bits below hold.
    pub(crate) flags: u8,
}

impl Code {
    /// There is a ModRM byte.
    pub(crate) const MODRM: u8 = 1;
    /// The register number stands in the opcode's low three bits.
    pub(crate) const PLUS: u8 = 2;
    /// The immediate is a label, relative to the next instruction.
    pub(crate) const RELATIVE: u8 = 4;
    /// ModRM.reg is a byte register: numbers 4 to 7 need a REX prefix.
    pub(crate) const BYTE_REG: u8 = 8;
    /// ModRM.rm is a byte register when it is not memory.
    pub(crate) const BYTE_RM: u8 = 16;
}

/// How an instruction uses an operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Access {
    /// Neither read nor written: an immediate, or the operand of a long no-operation.
    None,
    /// Read.
    Read,
    /// Written; what was there before does not matter, unless there is a merging mask.
    Write,
    /// Read and written.
    ReadWrite,
    /// Only its address is taken; base and index are read, memory is not.
    Address,
}

/// What may stand at an operand's place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A register, at this width.
    Reg(Width),
    /// Memory and nothing else.
    Memory,
    /// An immediate.
    Imm,
    /// A label.
    Rel,
    /// Always the register cl.
    Cl,
    /// Always the register xmm0.
    Xmm0,
    /// Always the number 1.
    One,
}

/// One operand of an instruction.
#[derive(Clone, Copy)]
pub(crate) struct Operand {
    /// What may stand there.
    pub(crate) kind: Kind,
    /// May memory stand there?
    pub(crate) memory: bool,
    /// Bytes of the memory operand; 0 if it has no size.
    pub(crate) bytes: u8,
    /// Bytes of one element when memory may be broadcast, or 0.
    pub(crate) element: u8,
    /// Slot in the machine instruction, or [`NOWHERE`].
    pub(crate) slot: u8,
    /// How it is used.
    pub(crate) access: Access,
}

/// What the listing, the tests and the allocation checker want to know about an instruction.
pub(crate) struct Info {
    /// Name of the row.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests hold it against other tools"))]
    pub(crate) name: &'static str,
    /// The manual's instruction column.
    pub(crate) text: &'static str,
    /// The manual's opcode column.
    #[allow(dead_code, reason = "part of the row, shown when debugging")]
    pub(crate) encoding: &'static str,
    /// CPU features that it needs.
    #[cfg_attr(not(test), allow(dead_code, reason = "the tests hold it against other tools"))]
    pub(crate) features: Features,
    /// Its operands.
    pub(crate) operands: [Operand; 4],
    /// How many of them there are.
    pub(crate) count: u8,
    /// May it have a write mask?
    pub(crate) masked: bool,
    /// May masked-off lanes be zeroed?
    pub(crate) zeroing: bool,
    /// Does the mask select between operands, rather than keep lanes of the destination?
    pub(crate) blends: bool,
    /// What EVEX.b means without a memory operand.
    pub(crate) rounding: Rounding,
    /// Registers read besides the operands, by [`Reg::index`](crate::mach::Reg::index).
    pub(crate) reads: u64,
    /// Registers written besides the operands.
    pub(crate) writes: u64,
    /// Does the result depend on the flags?
    pub(crate) reads_flags: bool,
    /// Does it change any flag?
    pub(crate) writes_flags: bool,
}

/// What EVEX.b means when no operand is memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Rounding {
    /// Nothing: it must be clear.
    None,
    /// `{sae}`: raise no exceptions.
    Suppress,
    /// `{er}`: round as the vector length bits say, raise no exceptions.
    Embedded,
}

/// The text from `at` up to one of the bytes of `stops`, or to the end.
const fn word_end(text: &[u8], mut at: usize, stops: &[u8]) -> usize {
    while at < text.len() {
        let mut i = 0;
        while i < stops.len() {
            if text[at] == stops[i] {
                return at;
            }
            i += 1;
        }
        at += 1;
    }
    at
}

/// Does `word` stand in `text` at `at`?
const fn starts(text: &[u8], at: usize, word: &str) -> bool {
    let word = word.as_bytes();
    if at + word.len() > text.len() {
        return false;
    }
    let mut i = 0;
    while i < word.len() {
        if text[at + i] != word[i] {
            return false;
        }
        i += 1;
    }
    true
}

/// Is the text from `at` to `end` this word?
const fn is(text: &[u8], at: usize, end: usize, word: &str) -> bool {
    end - at == word.len() && starts(text, at, word)
}

/// A decimal number and the place after it.
const fn number(text: &[u8], mut at: usize) -> (u32, usize) {
    let mut value = 0;
    while at < text.len() && text[at].is_ascii_digit() {
        value = value * 10 + (text[at] - b'0') as u32;
        at += 1;
    }
    (value, at)
}

const fn hex_digit(byte: u8) -> u8 {
    match byte {
        b'0'..=b'9' => byte - b'0',
        b'A'..=b'F' => byte - b'A' + 10,
        _ => panic!("not an upper-case hexadecimal digit"),
    }
}

const fn log2(bytes: u32) -> u8 {
    if bytes == 0 { 0 } else { bytes.trailing_zeros() as u8 }
}

const EMPTY: Code = Code {
    space: Space::Legacy,
    pp: 0,
    map: 0,
    opcode: 0,
    w: 0,
    length: 0,
    reg: NOWHERE,
    rm: NOWHERE,
    vvvv: NOWHERE,
    is4: NOWHERE,
    digit: 0,
    imm: 0,
    scale: [0; 2],
    flags: 0,
};

const NO_OPERAND: Operand =
    Operand { kind: Kind::Imm, memory: false, bytes: 0, element: 0, slot: NOWHERE, access: Access::None };

/// What the opcode column says about operands: `/r`, `/is4`.
struct Fields {
    slash_r: bool,
    is4: bool,
}

/// Reads the opcode column.
const fn parse_encoding(text: &[u8]) -> (Code, Fields) {
    let mut code = EMPTY;
    let mut fields = Fields { slash_r: false, is4: false };
    let mut at = 0;
    let mut opcode_seen = false;
    if starts(text, 0, "VEX.") || starts(text, 0, "EVEX.") {
        code.space = if text[0] == b'V' { Space::Vex } else { Space::Evex };
        at = word_end(text, 0, b".") + 1;
        let head = word_end(text, at, b" ");
        while at < head {
            let end = word_end(text, at, b". ");
            parse_vex_word(text, at, end, &mut code);
            at = if end < head { end + 1 } else { end };
        }
        at = head + 1;
    }
    while at < text.len() {
        let end = word_end(text, at, b" ");
        if is(text, at, end, "REX.W") {
            code.w = 1;
        } else if is(text, at, end, "/r") {
            fields.slash_r = true;
            code.flags |= Code::MODRM;
        } else if is(text, at, end, "/is4") {
            fields.is4 = true;
            code.imm = 1;
        } else if text[at] == b'/' {
            assert!(end == at + 2 && text[at + 1] >= b'0' && text[at + 1] <= b'7', "a digit after the slash");
            code.digit = text[at + 1] - b'0';
            code.flags |= Code::MODRM;
        } else if is(text, at, end, "ib") {
            code.imm = 1;
        } else if is(text, at, end, "id") {
            code.imm = 4;
        } else if is(text, at, end, "io") {
            code.imm = 8;
        } else if is(text, at, end, "cb") || is(text, at, end, "cd") {
            code.imm = if text[at + 1] == b'b' { 1 } else { 4 };
            code.flags |= Code::RELATIVE;
        } else {
            assert!(!opcode_seen, "one opcode byte");
            if end == at + 5 && starts(text, at + 2, "+r") {
                code.flags |= Code::PLUS;
            } else {
                assert!(end == at + 2, "a byte in hexadecimal");
            }
            let byte = hex_digit(text[at]) << 4 | hex_digit(text[at + 1]);
            let last = !(end + 1 < text.len() && text[end + 1].is_ascii_hexdigit() && text[end + 1] < b'a'
                || starts(text, end + 1, "REX"));
            match byte {
                0x66 | 0xF3 | 0xF2 if !last && code.map == 0 => code.pp = parse_prefix(byte),
                0x0F if !last => code.map = 1,
                0x38 if !last && code.map == 1 => code.map = 2,
                0x3A if !last && code.map == 1 => code.map = 3,
                _ => {
                    code.opcode = byte;
                    opcode_seen = true;
                }
            }
        }
        at = end + 1;
    }
    assert!(opcode_seen, "an opcode byte");
    (code, fields)
}

const fn parse_prefix(byte: u8) -> u8 {
    match byte {
        0x66 => 1,
        0xF3 => 2,
        _ => 3,
    }
}

/// Reads one word of a dotted VEX or EVEX prefix.
const fn parse_vex_word(text: &[u8], at: usize, end: usize, code: &mut Code) {
    if is(text, at, end, "LIG") || is(text, at, end, "LZ") || is(text, at, end, "L0") || is(text, at, end, "128") {
        code.length = 0;
    } else if is(text, at, end, "L1") || is(text, at, end, "256") {
        code.length = 1;
    } else if is(text, at, end, "512") {
        code.length = 2;
    } else if is(text, at, end, "66") || is(text, at, end, "F3") || is(text, at, end, "F2") {
        code.pp = parse_prefix(hex_digit(text[at]) << 4 | hex_digit(text[at + 1]));
    } else if is(text, at, end, "0F") {
        code.map = 1;
    } else if is(text, at, end, "0F38") {
        code.map = 2;
    } else if is(text, at, end, "0F3A") {
        code.map = 3;
    } else if is(text, at, end, "W1") {
        code.w = 1;
    } else {
        assert!(is(text, at, end, "W0") || is(text, at, end, "WIG"), "a word of a VEX or EVEX prefix");
    }
}

/// Reads one operand from `at` up to `end`; its slot and access are the caller's business.
const fn parse_operand(text: &[u8], mut at: usize, end: usize) -> Operand {
    let mut operand = NO_OPERAND;
    let mut slashed = false;
    if starts(text, at, "imm") || starts(text, at, "rel") {
        operand.kind = if text[at] == b'i' { Kind::Imm } else { Kind::Rel };
        at = number(text, at + 3).1;
    } else if is(text, at, end, "1") || is(text, at, end, "CL") || is(text, at, end, "<XMM0>") {
        operand.kind = match text[at] {
            b'1' => Kind::One,
            b'C' => Kind::Cl,
            _ => Kind::Xmm0,
        };
        at = end;
    } else if starts(text, at, "r/m") {
        let (bits, after) = number(text, at + 3);
        operand.kind = Kind::Reg(gpr_width(bits));
        operand.memory = true;
        operand.bytes = (bits / 8) as u8;
        at = after;
    } else if text[at] == b'm' {
        slashed = true;
        operand.kind = Kind::Memory;
    } else if text[at] == b'r' {
        let (bits, after) = number(text, at + 1);
        operand.kind = Kind::Reg(gpr_width(bits));
        at = if after < end && (text[after] == b'a' || text[after] == b'b') { after + 1 } else { after };
    } else if text[at] == b'k' {
        operand.kind = Kind::Reg(Width::Mask);
        at = number(text, at + 1).1;
    } else {
        assert!(starts(text, at + 1, "mm"), "an operand");
        operand.kind = Kind::Reg(match text[at] {
            b'x' => Width::Xmm,
            b'y' => Width::Ymm,
            b'z' => Width::Zmm,
            _ => panic!("an operand"),
        });
        at = number(text, at + 3).1;
    }
    while at < end && (slashed || text[at] == b'/') {
        let (bits, after) = number(text, if slashed { at + 1 } else { at + 2 });
        slashed = false;
        operand.memory = true;
        if starts(text, after, "bcst") {
            operand.element = (bits / 8) as u8;
            at = after + 4;
        } else {
            operand.bytes = (bits / 8) as u8;
            at = after;
        }
    }
    assert!(at == end || text[at] == b' ' || text[at] == b'{', "a known operand and nothing after it");
    operand
}

const fn gpr_width(bits: u32) -> Width {
    match bits {
        8 => Width::B8,
        16 => Width::B16,
        32 => Width::B32,
        64 => Width::B64,
        _ => panic!("a width of a general-purpose register"),
    }
}

/// Notes what the braces in the instruction column say about masks and rounding.
const fn parse_braces(text: &[u8], info: &mut Info) {
    let mut at = word_end(text, 0, b"{");
    while at < text.len() {
        match text[at + 1] {
            b'k' => info.masked = true,
            b'z' => info.zeroing = true,
            b'e' => info.rounding = Rounding::Embedded,
            b's' => info.rounding = Rounding::Suppress,
            _ => panic!("k1, z, er or sae in the braces"),
        }
        at = word_end(text, at + 1, b"{");
    }
}

/// Reads the effects column into `info`: a letter for each operand with a slot, then `register:use` words.
const fn parse_effects(text: &[u8], info: &mut Info) {
    let mut at = 0;
    let mut operand = 0;
    let first = word_end(text, 0, b" :");
    if first == text.len() || text[first] == b' ' {
        while at < first {
            while info.operands[operand].slot == NOWHERE {
                operand += 1;
            }
            info.operands[operand].access = access(text[at]);
            info.blends |= text[at] == b'W';
            operand += 1;
            at += 1;
        }
        at += 1;
    }
    while operand < info.count as usize {
        assert!(info.operands[operand].slot == NOWHERE, "a letter for every operand");
        operand += 1;
    }
    while at < text.len() {
        let colon = word_end(text, at, b":");
        let access = access(text[colon + 1]);
        let reads = matches!(access, Access::Read | Access::ReadWrite);
        let writes = matches!(access, Access::Write | Access::ReadWrite);
        if is(text, at, colon, "f") {
            info.reads_flags = reads;
            info.writes_flags = writes;
        } else {
            let bit = if is(text, at, colon, "rax") {
                1
            } else if is(text, at, colon, "rcx") {
                1 << 1
            } else if is(text, at, colon, "rdx") {
                1 << 2
            } else if is(text, at, colon, "rsp") {
                1 << 4
            } else {
                assert!(is(text, at, colon, "xmm0"), "an implicit register");
                1 << 32
            };
            info.reads |= if reads { bit } else { 0 };
            info.writes |= if writes { bit } else { 0 };
        }
        at = colon + 3;
    }
}

const fn access(letter: u8) -> Access {
    match letter {
        b'r' => Access::Read,
        b'w' | b'W' => Access::Write,
        b'x' => Access::ReadWrite,
        b'a' => Access::Address,
        b'n' => Access::None,
        _ => panic!("one of r, w, W, x, a, n"),
    }
}

/// Reads a row.
pub(super) const fn parse(
    name: &'static str,
    text: &'static str,
    encoding: &'static str,
    features: Features,
    effects: &'static str,
) -> Row {
    let (mut code, fields) = parse_encoding(encoding.as_bytes());
    let bytes = text.as_bytes();
    let mut info = Info {
        name,
        text,
        encoding,
        features,
        operands: [NO_OPERAND; 4],
        count: 0,
        masked: false,
        zeroing: false,
        blends: false,
        rounding: Rounding::None,
        reads: 0,
        writes: 0,
        reads_flags: false,
        writes_flags: false,
    };
    parse_braces(bytes, &mut info);
    let mut slots = 0;
    let mut rm = NOWHERE;
    let mut at = word_end(bytes, 0, b" ") + 1;
    while at < bytes.len() {
        let end = word_end(bytes, at, b",");
        let mut operand = parse_operand(bytes, at, end);
        if operand.memory || matches!(operand.kind, Kind::Reg(_)) {
            operand.slot = slots;
            slots += 1;
        }
        if operand.memory {
            assert!(rm == NOWHERE, "one memory operand");
            rm = operand.slot;
            code.scale = [log2(operand.bytes as u32), log2(operand.element as u32)];
        }
        info.operands[info.count as usize] = operand;
        info.count += 1;
        at = end + 2;
    }
    assign_fields(&mut code, &fields, slots, rm);
    let mut i = 0;
    while i < info.count as usize {
        if matches!(info.operands[i].kind, Kind::Reg(Width::B8)) {
            code.flags |= if info.operands[i].slot == code.rm { Code::BYTE_RM } else { Code::BYTE_REG };
        }
        i += 1;
    }
    parse_effects(effects.as_bytes(), &mut info);
    Row { code, info }
}

/// Decides which slot stands in which field of the encoding.
const fn assign_fields(code: &mut Code, fields: &Fields, slots: u8, memory: u8) {
    let modrm = code.flags & (Code::MODRM | Code::PLUS) != 0;
    let last = if fields.is4 { slots - 1 } else { slots };
    code.rm = match (modrm, memory) {
        (false, _) => NOWHERE,
        (true, NOWHERE) => last - 1,
        (true, slot) => slot,
    };
    let vvvv_first = code.rm == 0 && slots == 3;
    let mut slot = 0;
    while slot < slots {
        if slot == code.rm {
        } else if fields.slash_r && code.reg == NOWHERE && (!vvvv_first || code.vvvv != NOWHERE) {
            code.reg = slot;
        } else if code.vvvv == NOWHERE && !matches!(code.space, Space::Legacy) {
            code.vvvv = slot;
        } else {
            assert!(fields.is4 && code.is4 == NOWHERE, "a field of the encoding for every operand");
            code.is4 = slot;
        }
        slot += 1;
    }
    assert!(!fields.slash_r || code.reg != NOWHERE, "an operand for ModRM.reg");
    assert!(slots <= 3 || fields.is4, "at most three operands with slots, and one in /is4");
}
