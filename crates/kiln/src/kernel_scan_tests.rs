//! Looks at the bytes of kernels through an independent disassembler: what must be true of every one.
//!
//! The one idea is that of `scan_tests`: code need not run to be looked at, so every level is scanned on every host. Besides
//! the level and the spelling of instructions it is about what kernels alone have: the upper halves of registers, which
//! are zero wherever the kernel leaves or calls; the rows of a step, beyond which nothing is touched; the aligned frame.
//!
//! How addresses are made is read off the code: the register of a column's address is one that was loaded from the list of
//! addresses, and the index is the register that the step's length is added to. To add formulas, add to `TEXTS` or to
//! testdata/eval.

#![forbid(unsafe_code)]

use crate::differential::{Random, soup_of};
use crate::ir::build::BuildOptions;
use crate::isa::x64::features::Level;
use crate::mach::walk::Chaos;
use crate::pipeline::{Compiler, Definitions, Request, Stores};
use crate::run::host::HostFunction;
use crate::run::view::bytes_of;
use crate::scan_tests::{FEATURES, needs_alignment};
use crate::text::{Limits, parse_params};
use crate::types::{Type, Value};
use iced_x86::{
    Decoder, DecoderOptions, EncodingKind, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess,
    OpKind, Register,
};
use std::collections::HashMap;
use std::sync::Arc;

/// What is looked at in a kernel's code.
struct Scan<'a> {
    bytes: &'a [u8],
    code: usize,
    level: Level,
    /// The types of the inputs, then of the outputs.
    types: &'a [Type],
    inputs: usize,
    rows: usize,
    /// Are outputs aligned?
    stores: Stores,
}

/// What a kernel was seen to do; that none does it would mean that nothing is tested.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
struct Seen {
    calls: bool,
    traps: bool,
    vectors: bool,
    wide: bool,
    masked: bool,
    frame: bool,
}

fn is_wide(register: Register) -> bool {
    register.is_ymm() || register.is_zmm()
}

impl Scan<'_> {
    fn run(&self) -> Result<Seen, String> {
        let decoder = Decoder::with_ip(64, &self.bytes[..self.code], 0, DecoderOptions::NONE);
        let code: Vec<Instruction> = decoder.into_iter().collect();
        let mut seen = Seen::default();
        let allowed = FEATURES[..=self.level as usize].concat();
        let mut info = InstructionInfoFactory::new();
        for inst in &code {
            let fail = |why: &str| Err(format!("{:x}: {inst}: {why}", inst.ip()));
            if inst.is_invalid() {
                return fail("no instruction");
            }
            if inst.cpuid_features().iter().any(|feature| !allowed.contains(feature)) {
                return fail("a feature beyond the level");
            }
            let vector = info.info(inst).used_registers().iter().any(|r| r.register().is_vector_register());
            let spellings: &[EncodingKind] = match self.level {
                Level::V1 | Level::V2 => &[EncodingKind::Legacy],
                Level::V3 => &[EncodingKind::VEX],
                Level::V4 => &[EncodingKind::VEX, EncodingKind::EVEX],
            };
            if vector && !spellings.contains(&inst.encoding()) {
                return fail("a vector instruction of another spelling than the level's");
            }
            if matches!(inst.mnemonic(), Mnemonic::Ldmxcsr | Mnemonic::Vldmxcsr | Mnemonic::Std) {
                return fail("changes what belongs to the caller");
            }
            seen.calls |= inst.mnemonic() == Mnemonic::Call;
            seen.vectors |= vector && inst.mnemonic() != Mnemonic::Vzeroupper;
            seen.wide |= registers(inst).any(is_wide);
            seen.masked |= inst.has_op_mask();
        }
        seen.traps = code.iter().filter(|inst| self.leaves(inst, &code)).count() > 0;
        let places = Places::of(&code);
        seen.frame = places.frame > 0;
        let states = self.follow(&code, places.list)?;
        for (inst, state) in code.iter().zip(&states) {
            let Some(state) = state else {
                // What fills the space before a loop may be jumped over.
                ensure_padding(inst)?;
                continue;
            };
            self.memory(inst, state, &places)?;
        }
        self.uppers(&code, &states, &seen)?;
        Ok(seen)
    }

    /// Does the instruction jump to the end of the function, behind the loop over steps?
    fn leaves(&self, inst: &Instruction, code: &[Instruction]) -> bool {
        let last_back = code.iter().rfind(|i| i.is_jcc_short_or_near() && i.near_branch_target() < i.ip());
        inst.is_jcc_short_or_near() && last_back.is_some_and(|back| inst.near_branch_target() > back.ip())
    }

    /// Follows the code on every way through it: what is known before each instruction, none where no way leads.
    fn follow(&self, code: &[Instruction], list: Register) -> Result<Vec<Option<State>>, String> {
        let at: HashMap<u64, usize> = code.iter().enumerate().map(|(i, inst)| (inst.ip(), i)).collect();
        let mut states: Vec<Option<State>> = vec![None; code.len()];
        let mut open = vec![(0, State::default())];
        while let Some((i, come)) = open.pop() {
            let met = states[i].map_or(come, |known| known.meet(come));
            if states[i] == Some(met) {
                continue;
            }
            states[i] = Some(met);
            let inst = &code[i];
            let after = met.after(inst, list);
            let always = inst.flow_control() == FlowControl::UnconditionalBranch;
            let jumps = always || inst.flow_control() == FlowControl::ConditionalBranch;
            let jump = jumps.then(|| inst.near_branch_target());
            let next = (!always && inst.mnemonic() != Mnemonic::Ret).then(|| inst.next_ip());
            for ip in jump.into_iter().chain(next) {
                let Some(&to) = at.get(&ip) else { return Err(format!("{:x}: {inst}: goes nowhere", inst.ip())) };
                open.push((to, after));
            }
        }
        Ok(states)
    }

    /// The upper halves of vector registers are zero at every return and every call, and only kernels that use vectors
    /// clear them. (A constant bool at v4 needs 128 bits and clears all the same.)
    fn uppers(&self, code: &[Instruction], states: &[Option<State>], seen: &Seen) -> Result<(), String> {
        for (inst, state) in code.iter().zip(states) {
            let fail = |why: &str| Err(format!("{:x}: {inst}: {why}", inst.ip()));
            let leaves = matches!(inst.mnemonic(), Mnemonic::Ret | Mnemonic::Call);
            if leaves && state.is_some_and(|state| state.dirty) {
                return fail("reached with the upper halves in use");
            }
            if inst.mnemonic() == Mnemonic::Vzeroupper && !seen.vectors {
                return fail("nothing is in use");
            }
        }
        Ok(())
    }

    /// Every memory operand is of the frame, of the rows of this step, of the list of columns, or a constant.
    fn memory(&self, inst: &Instruction, state: &State, places: &Places) -> Result<(), String> {
        let fail = |why: &str| Err(format!("{:x}: {inst}: {why}", inst.ip()));
        let operand = (0..inst.op_count()).find(|&i| inst.op_kind(i) == OpKind::Memory);
        let access = operand
            .map_or(OpAccess::NoMemAccess, |operand| InstructionInfoFactory::new().info(inst).op_access(operand));
        let (size, disp) = (inst.memory_size().size() as i64, inst.memory_displacement64() as i64);
        if access == OpAccess::NoMemAccess || size == 0 || inst.mnemonic() == Mnemonic::Nop {
            return Ok(());
        }
        let (written, aligned) = (access != OpAccess::Read, needs_alignment(inst));
        match (inst.memory_base(), inst.memory_index()) {
            (Register::RIP, Register::None) => {
                let inside = disp >= self.code as i64 && disp + size <= self.bytes.len() as i64;
                if written || !inside || aligned && disp % size != 0 {
                    return fail("not a constant that it may use so");
                }
            }
            (Register::RSP, Register::None) => {
                let probe = inst.mnemonic() == Mnemonic::Or && matches!(inst.try_immediate(1), Ok(0));
                let inside = disp >= 0 && disp + size <= places.frame;
                if !(inside || probe && disp < 0 && disp >= -places.frame) || aligned && disp % size != 0 {
                    return fail("outside the frame, or not aligned there");
                }
            }
            (base, Register::None) if base == places.list => {
                let known = disp >= 0 && disp % 8 == 0 && ((disp / 8) as usize) < self.types.len();
                if inst.mnemonic() != Mnemonic::Mov || written || !known {
                    return fail("no address of a column");
                }
            }
            (base, by) if by == places.index => {
                let Some(column) = state.columns[base.number()] else { return fail("an address that is no column's") };
                let bytes = bytes_of(self.types[column]);
                if inst.memory_index_scale() as usize != bytes {
                    return fail("rows of another size than the column's");
                }
                if disp < 0 || disp + size > (self.rows * bytes) as i64 {
                    return fail("outside the rows of the step");
                }
                let may_align = written && self.stores == Stores::Streaming;
                if aligned && !may_align || written != (column >= self.inputs) {
                    return fail("an aligned access, an input written, or an output read");
                }
            }
            _ => return fail("memory that is not the kernel's"),
        }
        Ok(())
    }
}

/// What is known at a place of the code.
#[derive(Clone, Copy, Default, PartialEq)]
struct State {
    /// Is something in the upper halves of vector registers?
    dirty: bool,
    /// By general-purpose register: the column whose address it holds.
    columns: [Option<usize>; 16],
}

impl State {
    /// What is known where two ways meet.
    fn meet(mut self, other: State) -> State {
        self.dirty |= other.dirty;
        for (mine, theirs) in self.columns.iter_mut().zip(other.columns) {
            *mine = mine.filter(|_| *mine == theirs);
        }
        self
    }

    /// What is known behind an instruction; `list` points to the addresses of the columns.
    fn after(mut self, inst: &Instruction, list: Register) -> State {
        if inst.mnemonic() == Mnemonic::Vzeroupper {
            self.dirty = false;
        }
        if inst.op_count() == 0 || inst.op0_kind() != OpKind::Register {
            return self;
        }
        let to = inst.op0_register();
        self.dirty |= is_wide(to);
        if to.is_gpr() {
            let loaded = inst.op1_kind() == OpKind::Memory && inst.memory_base() == list;
            self.columns[to.full_register().number()] = loaded.then(|| inst.memory_displacement64() as usize / 8);
        }
        self
    }
}

/// Where a kernel keeps what it needs for addresses.
struct Places {
    /// The addresses of the columns.
    list: Register,
    /// The row.
    index: Register,
    /// Bytes of the frame below the saved registers.
    frame: i64,
}

impl Places {
    fn of(code: &[Instruction]) -> Places {
        let (mut list, mut index, mut frame) = (Register::RDI, Register::RCX, 0);
        for inst in code {
            match (inst.mnemonic(), inst.op0_register()) {
                // Kernels that might call keep these where calls leave them alone.
                (Mnemonic::Mov, Register::R13) if inst.op1_register() == Register::RDI => {
                    (list, index) = (Register::R13, Register::RBX);
                }
                (Mnemonic::Sub, Register::RSP) => frame = inst.immediate(1) as i64,
                _ => {}
            }
        }
        Places { list, index, frame }
    }
}

fn ensure_padding(inst: &Instruction) -> Result<(), String> {
    match inst.mnemonic() {
        Mnemonic::Nop => Ok(()),
        _ => Err(format!("{:x}: {inst}: no way leads here", inst.ip())),
    }
}

fn registers(inst: &Instruction) -> impl Iterator<Item = Register> {
    (0..inst.op_count()).filter(|&i| inst.op_kind(i) == OpKind::Register).map(|i| inst.op_register(i))
}

/// Makes a kernel of the function in the compiler and looks at it; gives nothing if there is none.
fn scan(compiler: &mut Compiler, level: Level, stores: Stores, chaos: Chaos) -> Option<Result<Seen, String>> {
    let func = &compiler.builder.func;
    let inputs = func.params.len();
    let types: Vec<Type> = func.params.iter().copied().chain(func.results.iter().map(|&r| func.ty(r))).collect();
    let kernel = compiler.emit_kernel_with(level, stores, chaos, false)?;
    assert_eq!(kernel.columns, types.len());
    let (bytes, code) = (compiler.buffer.bytes(), compiler.buffer.code_len());
    Some(Scan { bytes, code, level, types: &types, inputs, rows: kernel.rows, stores }.run())
}

fn join(all: &mut [Seen; 4], level: Level, seen: Seen) {
    let all = &mut all[level as usize];
    all.calls |= seen.calls;
    all.traps |= seen.traps;
    all.vectors |= seen.vectors;
    all.wide |= seen.wide;
    all.masked |= seen.masked;
    all.frame |= seen.frame;
}

/// What is to be seen at each level, over all formulas of a test.
fn everything(level: Level) -> Seen {
    Seen { calls: true, traps: true, vectors: true, wide: level >= Level::V3, masked: level >= Level::V4, frame: true }
}

#[test]
fn random_kernels_keep_to_their_level_their_rows_and_their_frame() {
    let mut compiler = Compiler::new(&[]);
    let mut seen = [Seen::default(); 4];
    let narrow = [Type::F32, Type::I32, Type::Bool, Type::F32, Type::I32];
    for seed in 0..400 {
        for level in Level::ALL {
            let mut random = Random(seed * 2 + 1);
            let size = 1 + random.below(60);
            let options = BuildOptions { optimise: seed % 2 == 0, checked: seed % 3 == 0, ..BuildOptions::default() };
            let count = random.below(16);
            let mixed: Vec<Type> = (0..count.max(1)).map(|_| Type::ALL[random.below(5)]).collect();
            let params = if seed % 4 == 3 { &narrow[..] } else { &mixed };
            // The random function wants a value of every type, which constants are.
            soup_of(&mut compiler.builder, &mut random, size, options, params, seed % 5 > 1);
            let few = seed % 7 == 6;
            let chaos =
                Chaos { registers: if few { [u32::MAX, 0xff, 0x3e] } else { [u32::MAX; 3] }, seed: seed % 2 * seed };
            let result = scan(&mut compiler, level, [Stores::Cached, Stores::Streaming][seed as usize % 4 / 3], chaos)
                .unwrap_or_else(|| panic!("seed {seed}: no kernel"));
            match result {
                Ok(new) => join(&mut seen, level, new),
                Err(why) => panic!("seed {seed} {level:?}: {why}"),
            }
        }
    }
    for level in Level::ALL {
        assert_eq!(seen[level as usize], everything(level), "{level:?}");
    }
}

/// Formulas with calls of every kind, with types and widths that meet, with nothing to do.
const TEXTS: [(&str, &str); 24] = [
    ("x: f64", "x"),
    ("b: bool", "b"),
    ("b: bool", "not b"),
    ("", "1.5"),
    ("", "true"),
    ("x: f32", "x * 2"),
    ("x: f32, y: f64", "x * y"),
    ("x: f64", "exp(x) + sin(x) * log(x)"),
    ("x: f32", "exp(x) + sin(x)"),
    ("x: f64, y: f64", "x ^ y"),
    ("a: i64, b: i64", "a // b + a % b"),
    ("a: i32, b: i32", "div(a, b) + rem(a, b)"),
    ("a: i64", "popcount(a) * a"),
    ("a: i64, x: f64", "f64(a) * x + f64(i64(x))"),
    ("x: f64, y: f64", "quiet(x, y)"),
    ("x: f64, y: f64", "quiet(x, y) + quiet(y, x) * x"),
    ("x: f64, b: bool", "if(b, exp(x), 1 / x)"),
    ("x: f64, b: bool", "if(asks(x, b), x, -x)"),
    ("x: f32, b: bool", "if(asks(x, b), x, -x)"),
    ("x: f64", "fast_or_slow(x)"),
    (
        "a: f64, b: f64, c: f64, d: f64, e: f64, f: f64, g: f64, h: f64, i: f64, j: f64, k: f64, l: f64",
        "a*b + c*d + e*f + g*h + i*j + k*l + exp(a + b + c + d + e + f + g + h + i + j + k + l)",
    ),
    ("x: f64", "var s = x; for i in 0..9 { s = s + exp(s) }; s"),
    ("x: f64", "var s = x; while s < 100 { s = s * 1.5 + quiet(s, x) }; s"),
    ("n: i64", "var s = n; var k = 0i32; while s > 1 { s = if s % 2 == 0 { s // 2 } else { 3*s + 1 }; k = k + 1 }; k"),
];

fn hosts() -> Vec<Arc<HostFunction>> {
    let host = |name: &str, params: &[Type], result: Type, value: Value| {
        let body = Box::new(move |_: &[Value]| Ok(value));
        Arc::new(HostFunction::new(name.to_owned(), params.to_vec(), result, true, false, body))
    };
    vec![
        host("quiet", &[Type::F64, Type::F64], Type::F64, Value::F64(1.5)),
        host("asks", &[Type::F64, Type::Bool], Type::Bool, Value::Bool(true)),
        host("fast_or_slow", &[Type::F64], Type::F64, Value::F64(1.5)),
    ]
}

/// The formulas of testdata/eval: inputs as they are declared there, and the text.
fn of_eval() -> Vec<(String, String)> {
    #[derive(serde::Deserialize)]
    struct File {
        cases: Vec<Case>,
    }
    #[derive(serde::Deserialize)]
    struct Case {
        formula: String,
        #[serde(default, rename = "in")]
        inputs: Vec<String>,
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/eval");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        for case in toml::from_str::<File>(&text).unwrap().cases {
            let names = case.inputs.iter().map(|input| input.split('=').next().unwrap().trim());
            all.push((names.collect::<Vec<_>>().join(", "), case.formula));
        }
    }
    all
}

#[test]
fn kernels_of_formulas_keep_to_their_level_their_rows_and_their_frame() {
    let hosts = hosts();
    let mut compiler = Compiler::new(&hosts);
    let mut texts: Vec<(String, String)> = TEXTS.iter().map(|(p, t)| ((*p).to_owned(), (*t).to_owned())).collect();
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "kiln") {
            texts.push((String::new(), std::fs::read_to_string(path).unwrap()));
        }
    }
    let certain = texts.len();
    texts.extend(of_eval());
    let (mut seen, mut kernels) = ([Seen::default(); 4], 0);
    for (i, (params, text)) in texts.iter().enumerate() {
        for level in Level::ALL {
            for (fast, checked) in [(false, false), (true, false), (false, true)] {
                let params = parse_params(params).unwrap_or_default();
                let request = Request {
                    source: text.as_bytes(),
                    params: (!params.is_empty()).then_some(&params[..]),
                    known: &[],
                    default_type: Type::F64,
                    hosts: &hosts,
                    definitions: Definitions::NONE,
                    fast,
                    checked,
                    columns: false,
                    nullable: &[],
                    limits: Limits::default(),
                    level,
                };
                let made = compiler.check(&request);
                assert!(made.is_ok() || i >= certain, "{text}: {made:?}");
                let result = made.ok().and_then(|_| scan(&mut compiler, level, Stores::Cached, Chaos::default()));
                assert!(result.is_some() || i >= certain, "{text}: no kernel");
                kernels += usize::from(result.is_some());
                match result {
                    Some(Ok(new)) => join(&mut seen, level, new),
                    Some(Err(why)) => panic!("{level:?}, fast {fast}, checked {checked}: |{params:?}| {text}\n{why}"),
                    None => {}
                }
            }
        }
    }
    assert!(kernels > 6000, "{kernels}");
    for level in Level::ALL {
        assert_eq!(seen[level as usize], everything(level), "{level:?}");
    }
}

/// The scan itself: code that breaks each rule.
#[test]
fn the_scan_can_fail() {
    use Level::{V1, V3, V4};
    let bad: [(&str, Level, &[u8]); 15] = [
        ("vaddpd ymm; ret", V3, &[0xC5, 0xF5, 0x58, 0xC2, 0xC3]),
        ("vaddpd ymm; call; vzeroupper; ret", V3, &[0xC5, 0xF5, 0x58, 0xC2, 0xE8, 4, 0, 0, 0, 0xC5, 0xF8, 0x77, 0xC3]),
        ("jz to a ret behind vaddpd ymm; vzeroupper", V3, &[0xC5, 0xF5, 0x58, 0xC2, 0x74, 3, 0xC5, 0xF8, 0x77, 0xC3]),
        ("vzeroupper; ret", V3, &[0xC5, 0xF8, 0x77, 0xC3]),
        ("vzeroupper at v1", V1, &[0xC5, 0xF8, 0x77, 0xC3]),
        ("addps at v3", V3, &[0x0F, 0x58, 0xC1, 0xC3]),
        ("vaddpd xmm17 at v3", V3, &[0x62, 0xA1, 0xF5, 0x00, 0x58, 0xCA, 0xC3]),
        ("movups xmm0, [r8+rcx*8], no column's", V1, &[0x41, 0x0F, 0x10, 0x04, 0xC8, 0xC3]),
        (
            "the column's address; movups xmm0, [r8+rcx*8+16]",
            V1,
            &[0x4C, 0x8B, 0x07, 0x41, 0x0F, 0x10, 0x44, 0xC8, 16, 0xC3],
        ),
        ("the column's address; addps xmm0, [r8+rcx*8]", V1, &[0x4C, 0x8B, 0x07, 0x41, 0x0F, 0x58, 0x04, 0xC8, 0xC3]),
        ("the column's address; movups [r8+rcx*8], xmm0", V1, &[0x4C, 0x8B, 0x07, 0x41, 0x0F, 0x11, 0x04, 0xC8, 0xC3]),
        ("the column's address; movups xmm0, [r8+rcx*4]", V1, &[0x4C, 0x8B, 0x07, 0x41, 0x0F, 0x10, 0x04, 0x88, 0xC3]),
        ("the third column's address", V1, &[0x4C, 0x8B, 0x47, 16, 0xC3]),
        ("movups [rsp], xmm0, no frame", V1, &[0x0F, 0x11, 0x04, 0x24, 0xC3]),
        ("ldmxcsr [rsp]", V4, &[0x0F, 0xAE, 0x14, 0x24, 0xC3]),
    ];
    let types = [Type::F64; 2];
    let whole = |bytes, level| Scan {
        bytes,
        code: bytes.len(),
        level,
        types: &types,
        inputs: 1,
        rows: 2,
        stores: Stores::Cached,
    };
    for (what, level, bytes) in bad {
        assert!(whole(bytes, level).run().is_err(), "{what}");
    }
    let good: [(&str, Level, &[u8]); 4] = [
        ("vaddpd ymm; vzeroupper; ret", V3, &[0xC5, 0xF5, 0x58, 0xC2, 0xC5, 0xF8, 0x77, 0xC3]),
        ("vaddpd xmm; ret", V3, &[0xC5, 0xF1, 0x58, 0xC2, 0xC3]),
        ("the column's address; movups xmm0, [r8+rcx*8]", V1, &[0x4C, 0x8B, 0x07, 0x41, 0x0F, 0x10, 0x04, 0xC8, 0xC3]),
        ("the other's; movups [r8+rcx*8], xmm0", V1, &[0x4C, 0x8B, 0x47, 8, 0x41, 0x0F, 0x11, 0x04, 0xC8, 0xC3]),
    ];
    for (what, level, bytes) in good {
        assert_eq!(whole(bytes, level).run().err(), None, "{what}");
    }
}
