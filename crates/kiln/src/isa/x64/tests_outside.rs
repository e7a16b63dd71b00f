//! The encoder against an assembler (GNU as) and against a foreign list of encodings.
//!
//! Both are skipped, saying why, where the other party is absent.

use super::*;

/// Text that GNU as reads as exactly this row: it must not choose another encoding of the same instruction.
fn for_assembler(inst: &MInst) -> String {
    let mut text = without_rounding(&ours(inst));
    let braces = ours(inst);
    for word in ["{rn-sae}", "{rd-sae}", "{ru-sae}", "{rz-sae}", "{sae}"] {
        if braces.contains(word) {
            // The suffix is an operand of its own there, before an immediate.
            text = braces.replace(word, &format!(", {word}"));
        }
    }
    let row = insts::row(inst.inst);
    let first = operands(row).first().is_some_and(|operand| operand.memory);
    let store = first && operands(row).len() == 2 && inst.mem() == Mem::None;
    let prefix = match row.code.space {
        Space::Evex => "{evex} ",
        _ if store => "{store} ",
        Space::Vex => "{vex} ",
        Space::Legacy => "",
    };
    if row.info.name == "MOV_R64_IMM64" { format!("movabs{}", &text[3..]) } else { format!("{prefix}{text}") }
}

/// Assembles each line into a slot of 16 bytes; `None` if there is no assembler here.
fn assemble(lines: &[String]) -> Option<Result<Vec<u8>, String>> {
    use std::process::Command;
    let folder = std::env::temp_dir().join(format!("kiln-as-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let (source, object, binary) = (folder.join("a.s"), folder.join("a.o"), folder.join("a.bin"));
    let mut text = String::from(".intel_syntax noprefix\n.text\n");
    for line in lines {
        let _ = writeln!(text, ".balign 16, 0xCC\n{line}");
    }
    text.push_str(".balign 16, 0xCC\n");
    std::fs::write(&source, text).expect("a temporary file");
    let run = |command: &mut Command| match command.output() {
        Err(_) => None,
        Ok(output) if output.status.success() => Some(Ok(())),
        Ok(output) => Some(Err(String::from_utf8_lossy(&output.stderr).chars().take(4000).collect::<String>())),
    };
    let steps = run(Command::new("as").arg("--64").arg("-o").arg(&object).arg(&source)).and_then(|first| match first {
        Err(text) => Some(Err(text)),
        Ok(()) => run(Command::new("objcopy").args(["-O", "binary", "-j", ".text"]).arg(&object).arg(&binary)),
    });
    let result = steps.map(|done| done.map(|()| std::fs::read(&binary).expect("the output of objcopy")));
    let _ = std::fs::remove_dir_all(&folder);
    result
}

/// The same bytes, or a known other spelling of the same instruction.
#[test]
fn agrees_with_gnu_as() {
    let mut list: Vec<MInst> = all_samples().collect();
    // A fixed stride, prime to the pattern of the samples, keeps one in seven.
    let mut place = 0;
    list.retain(|_| {
        place += 1;
        place % 7 == 0
    });
    let lines: Vec<String> = list.iter().map(for_assembler).collect();
    let assembled = match assemble(&lines) {
        None => return println!("skipped: GNU as or objcopy is not installed"),
        Some(assembled) => assembled.unwrap_or_else(|text| panic!("as: {text}")),
    };
    let mut out = buffer();
    let mut formatter = formatter();
    let (mut equal, mut equivalent, mut complaints) = (0, HashMap::<&str, usize>::new(), Vec::new());
    for ((inst, line), slot) in list.iter().zip(&lines).zip(assembled.chunks(16)) {
        let bytes = bytes_of(inst, &mut out);
        if slot.starts_with(&bytes) && slot[bytes.len()..].iter().all(|&byte| byte == 0xCC) {
            equal += 1;
            continue;
        }
        let (mine, other) = (decode(&bytes), decode(slot));
        let same = theirs(&mut formatter, &mine) == theirs(&mut formatter, &other);
        match same.then(|| known_equivalent(&mine, &other)).flatten() {
            Some(why) => *equivalent.entry(why).or_default() += 1,
            None => complaints.push(format!("{line}: ours {}, theirs {}", hex(&bytes), hex(slot))),
        }
    }
    println!("{} instructions: {equal} equal, equivalent: {equivalent:?}", list.len());
    expect_none(&complaints);
    assert!(equal > list.len() * 9 / 10);
}

/// Why two spellings of one instruction may differ; `None` for no good reason.
fn known_equivalent(mine: &Instruction, other: &Instruction) -> Option<&'static str> {
    if mine.code() != other.code() {
        return Some("another opcode with the same meaning");
    }
    if mine.len() == other.len() {
        return Some("fields that do not matter");
    }
    if mine.memory_displ_size() != other.memory_displ_size() {
        return Some("size of the displacement");
    }
    Some("prefixes or a SIB byte that are not needed")
}

/// Our form of a decoded instruction, if it has one.
fn from_decoded(rows: &[usize], decoded: &Instruction) -> Option<MInst> {
    rows.iter().find_map(|&index| {
        let row = &ROWS[index];
        let mut inst = MInst::new(Inst(index as u16));
        let mut place = 0;
        for operand in operands(row) {
            if operand.kind == Kind::Xmm0 {
                continue;
            }
            match decoded.op_kind(place) {
                OpKind::Register => {
                    let register = decoded.op_register(place);
                    if let Kind::Reg(width) = operand.kind {
                        let found = (0..reg_count(width, row.code.space))
                            .map(|number| reg_at(width, number))
                            .find(|&reg| iced_register(reg, width) == register)?;
                        set(&mut inst, operand.slot, found);
                    } else if operand.kind != Kind::Cl {
                        return None;
                    }
                }
                OpKind::Memory => {
                    if !operand.memory || decoded.segment_prefix() != Register::None {
                        return None;
                    }
                    let gpr = |register: Register| match register {
                        Register::None => Some(Reg::NONE),
                        _ if register.is_gpr64() => Some(Reg::gpr((register as u32 - Register::RAX as u32) as u8)),
                        _ => None,
                    };
                    set(&mut inst, operand.slot, gpr(decoded.memory_base())?);
                    inst.index = gpr(decoded.memory_index())?;
                    inst.mode |= 1 + decoded.memory_index_scale().trailing_zeros() as u8;
                    inst.disp = decoded.memory_displacement64() as i32;
                }
                _ if operand.kind == Kind::Imm => {
                    let value = decoded.immediate(place);
                    inst.imm = value as i32;
                    if row.code.imm == 8 {
                        inst.disp = (value >> 32) as i32;
                    }
                }
                _ if operand.kind == Kind::One => {}
                _ => return None,
            }
            place += 1;
        }
        if decoded.op_mask() != Register::None {
            inst.mask = Reg::mask((decoded.op_mask() as u32 - Register::K0 as u32) as u8);
        }
        inst.mode |= if decoded.zeroing_masking() { MInst::ZEROING } else { 0 };
        let rounding = match decoded.rounding_control() {
            RoundingControl::None => None,
            RoundingControl::RoundToNearest => Some(0),
            RoundingControl::RoundDown => Some(1),
            RoundingControl::RoundUp => Some(2),
            RoundingControl::RoundTowardZero => Some(3),
        };
        if let Some(rounding) = rounding {
            inst.mode |= MInst::BROADCAST | rounding << 3;
        } else if decoded.is_broadcast() || decoded.suppress_all_exceptions() {
            inst.mode |= MInst::BROADCAST;
        }
        (place == decoded.op_count() && encode::check(&inst).is_ok()).then_some(inst)
    })
}

#[test]
fn agrees_with_the_list_of_encodings() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data/x64_encodings.txt");
    let Ok(text) = std::fs::read_to_string(path) else {
        return println!("skipped: {path} is not here");
    };
    let mut rows: HashMap<IcedCode, Vec<usize>> = HashMap::new();
    let mut out = buffer();
    for index in 0..ROWS.len() {
        for inst in samples(index) {
            let list = rows.entry(decode(&bytes_of(&inst, &mut out)).code()).or_default();
            if list.last() != Some(&index) {
                list.push(index);
            }
        }
    }
    let mut formatter = formatter();
    let (mut equal, mut skipped, mut other_form) = (0, HashMap::<&str, usize>::new(), 0);
    let (mut equivalent, mut complaints) = (HashMap::<&str, usize>::new(), Vec::new());
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let bytes: Vec<u8> = line
            .as_bytes()
            .chunks(2)
            .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).expect("ASCII"), 16).expect("hexadecimal"))
            .collect();
        let decoded = decode(&bytes);
        if decoded.is_invalid() || decoded.len() != bytes.len() {
            *skipped.entry("not one 64-bit instruction").or_default() += 1;
            continue;
        }
        if decoded.has_lock_prefix() {
            *skipped.entry("locked").or_default() += 1;
            continue;
        }
        let Some(rows) = rows.get(&decoded.code()) else {
            *skipped.entry("no such row").or_default() += 1;
            continue;
        };
        let Some(inst) = from_decoded(rows, &decoded) else {
            other_form += 1;
            if other_form < 6 {
                println!("operands that no row has: {line} {}", theirs(&mut formatter, &decoded));
            }
            continue;
        };
        let mine = bytes_of(&inst, &mut out);
        if mine == bytes {
            equal += 1;
            continue;
        }
        let again = decode(&mine);
        if theirs(&mut formatter, &again) != theirs(&mut formatter, &decoded) || mine.len() > bytes.len() {
            complaints.push(format!("{} ours {}, theirs {line}", ours(&inst), hex(&mine)));
            continue;
        }
        let why = known_equivalent(&again, &decoded).expect("a reason");
        if *equivalent.entry(why).or_default() < 3 {
            println!("{why}: {} ours {}, theirs {line}", ours(&inst), hex(&mine));
        }
        *equivalent.entry(why).or_default() += 1;
    }
    println!("applicable {}: equal {equal}, equivalent {equivalent:?}", equal + equivalent.values().sum::<usize>());
    println!("skipped {skipped:?}, operands that no row has {other_form}");
    expect_none(&complaints);
    assert!(equal > 3000);
}
