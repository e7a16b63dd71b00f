//! A public assembler for x86-64: labels, typed emit functions, and sealing into a callable function.
//!
//! Assembling is safe, whatever is assembled: the buffer grows as needed up to a limit, and operands that no encoding
//! has are an error, reported by [`Assembler::finish`]. Only calling the result is `unsafe`
//! ([`Function::get`]). The emit functions are generated from rows of the instruction table, so they encode exactly as
//! the compiler does; their names are the mnemonic and, where it has several forms, its operands as the manual writes
//! them (`rm32` is a 32-bit register or memory).
//!
//! To add an emit function, add a line to one of the lists at the end. This module knows no formula.
//!
//! ```
//! use kiln::asm::{Assembler, EAX};
//!
//! let mut a = Assembler::new();
//! a.mov_r32_imm32(EAX, 42);
//! a.ret();
//! assert_eq!(a.finish().unwrap(), [0xB8, 0x2A, 0, 0, 0, 0xC3]);
//! ```

#![forbid(unsafe_code)]

use std::fmt;

use crate::isa::x64::encode::{self, PADDING};
use crate::isa::x64::insts;
use crate::mach::buffer::{CodeBuffer, LayoutError, Pool};
use crate::mach::{self, Inst, MInst, Reg};
use crate::mem::{Draft, SealError};

pub use crate::run::call::{Function, FunctionPointer, Scalar};

/// A general-purpose register; how much of it is used is the emit function's business.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Gpr(Reg);

/// A vector register, looked at as 128 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Xmm(Reg);

/// The same vector register, looked at as 256 bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ymm(Reg);

/// A place in the code of one assembler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Label(u32);

/// A memory operand: `Mem::base(RDI).index(RCX, Scale::Eight).disp(16)`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Mem {
    base: Reg,
    index: Reg,
    mode: u8,
    disp: i32,
}

/// What an index register is multiplied by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scale {
    /// 1.
    One = 1,
    /// 2.
    Two = 2,
    /// 4.
    Four = 3,
    /// 8.
    Eight = 4,
}

impl Mem {
    /// `[base]`.
    pub const fn base(base: Gpr) -> Mem {
        Mem { base: base.0, index: Reg::NONE, mode: 1, disp: 0 }
    }

    /// `[disp]`: an address in the lowest or highest two gigabytes.
    pub const fn absolute(disp: i32) -> Mem {
        Mem { base: Reg::NONE, index: Reg::NONE, mode: 1, disp }
    }

    /// The address of a label, relative to the instruction.
    pub const fn label(label: Label) -> Mem {
        Mem { base: Reg::NONE, index: Reg::NONE, mode: 6, disp: label.0 as i32 }
    }

    /// The same plus `index * scale`. The index cannot be `RSP`; labels and constants have none.
    #[must_use]
    pub const fn index(self, index: Gpr, scale: Scale) -> Mem {
        Mem { index: index.0, mode: if self.mode > 4 { self.mode } else { scale as u8 }, ..self }
    }

    /// The same with this displacement. Labels and constants have none.
    #[must_use]
    pub const fn disp(self, disp: i32) -> Mem {
        if self.mode > 4 { self } else { Mem { disp, ..self } }
    }
}

/// A general-purpose register or memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum GprMem {
    /// A register.
    Gpr(Gpr),
    /// Memory.
    Mem(Mem),
}

/// A 128-bit vector register or memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum XmmMem {
    /// A register.
    Xmm(Xmm),
    /// Memory.
    Mem(Mem),
}

/// A 256-bit vector register or memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum YmmMem {
    /// A register.
    Ymm(Ymm),
    /// Memory.
    Mem(Mem),
}

/// Why code could not be assembled or sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AsmError {
    /// An instruction has an operand that it cannot have.
    Operand {
        /// The instruction, as the manual writes it.
        instruction: &'static str,
        /// What it wants instead.
        wants: &'static str,
    },
    /// The code exceeds the assembler's limit.
    TooLarge,
    /// A label is used but was never bound.
    UnboundLabel(Label),
    /// A label was bound twice.
    BoundTwice(Label),
    /// A branch that was asked to be short does not reach its label.
    TooFar(Label),
    /// The code could not be made executable.
    Seal(SealError),
}

impl fmt::Display for AsmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AsmError::Operand { instruction, wants } => write!(f, "`{instruction}` wants {wants}"),
            AsmError::TooLarge => f.write_str("the code exceeds the assembler's limit"),
            AsmError::UnboundLabel(label) => write!(f, "label {} is used but never bound", label.0),
            AsmError::BoundTwice(label) => write!(f, "label {} is bound twice", label.0),
            AsmError::TooFar(label) => write!(f, "a short branch does not reach label {}", label.0),
            AsmError::Seal(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AsmError {}

/// Code in the making.
pub struct Assembler {
    buffer: CodeBuffer,
    pool: Pool,
    error: Option<AsmError>,
}

impl Default for Assembler {
    fn default() -> Assembler {
        Assembler::new()
    }
}

impl Assembler {
    /// An empty assembler, for up to 64 MiB of code.
    #[must_use]
    pub fn new() -> Assembler {
        Assembler::with_limit(64 << 20)
    }

    /// An empty assembler for up to `bytes` bytes of code and constants.
    #[must_use]
    pub fn with_limit(bytes: usize) -> Assembler {
        Assembler { buffer: CodeBuffer::new(&PADDING, bytes), pool: Pool::new(), error: None }
    }

    /// Appends bytes as they are.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.buffer.extend(bytes);
    }

    /// A new label, to be bound once.
    #[must_use]
    pub fn label(&mut self) -> Label {
        Label(self.buffer.new_label().0)
    }

    /// Binds `label` to this place.
    pub fn bind(&mut self, label: Label) {
        if self.buffer.is_bound(mach::Label(label.0)) {
            self.fail(AsmError::BoundTwice(label));
        }
        self.buffer.bind(mach::Label(label.0));
    }

    /// Aligns what follows to `bytes`, by instructions that do nothing; rounded up to a power of two, at most 64.
    pub fn align(&mut self, bytes: u32) {
        self.buffer.align_code(bytes.clamp(1, 64).next_power_of_two());
    }

    /// A constant of 4, 8, 16, 32 or 64 bytes behind the code; equal bits are stored once.
    pub fn constant(&mut self, bits: &[u8]) -> Mem {
        let disp = match bits.len() {
            4 | 8 | 16 | 32 | 64 => self.pool.add(bits),
            _ => {
                self.fail(AsmError::Operand { instruction: "constant", wants: "4, 8, 16, 32 or 64 bytes" });
                0
            }
        };
        Mem { base: Reg::NONE, index: Reg::NONE, mode: 5, disp }
    }

    /// The code, all labels resolved, and the constants behind it.
    ///
    /// The first byte must be placed at a multiple of 64, which is what sealing does.
    pub fn finish(mut self) -> Result<Vec<u8>, AsmError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        match self.buffer.finish(&self.pool) {
            Ok(()) => Ok(self.buffer.bytes().to_vec()),
            Err(LayoutError::TooLarge) => Err(AsmError::TooLarge),
            Err(LayoutError::UnboundLabel(label)) => Err(AsmError::UnboundLabel(Label(label.0))),
            Err(LayoutError::TooFar(label)) => Err(AsmError::TooFar(Label(label.0))),
        }
    }

    /// The code in executable memory, said to have type `F`.
    pub fn seal<F: FunctionPointer>(self) -> Result<Function<F>, AsmError> {
        let draft = Draft::from_bytes(self.finish()?);
        draft.seal().map(Function::new).map_err(AsmError::Seal)
    }

    /// Keeps the first error.
    fn fail(&mut self, error: AsmError) {
        self.error.get_or_insert(error);
    }

    /// Appends an instruction if its operands fit.
    fn emit(&mut self, inst: MInst) {
        match encode::check(&inst) {
            Ok(()) => encode::encode(&inst, &mut self.buffer),
            Err(wants) => {
                let instruction = insts::row(inst.inst).info.text;
                self.fail(AsmError::Operand { instruction, wants });
            }
        }
    }
}

/// An instruction, and how many of its operand slots are filled.
struct Partial {
    inst: MInst,
    slots: usize,
}

impl Partial {
    fn new(inst: Inst) -> Partial {
        Partial { inst: MInst::new(inst), slots: 0 }
    }

    fn reg(&mut self, reg: Reg) {
        match self.inst.regs.get_mut(self.slots) {
            Some(slot) => *slot = reg,
            None => self.inst.mask = reg,
        }
        self.slots += 1;
    }

    fn mem(&mut self, mem: Mem) {
        self.reg(mem.base);
        self.inst.index = mem.index;
        self.inst.mode = mem.mode;
        self.inst.disp = mem.disp;
    }
}

/// How an argument of an emit function becomes an operand.
trait Operand {
    fn put(self, to: &mut Partial);
}

impl Operand for Gpr {
    fn put(self, to: &mut Partial) {
        to.reg(self.0);
    }
}
impl Operand for Xmm {
    fn put(self, to: &mut Partial) {
        to.reg(self.0);
    }
}
impl Operand for Ymm {
    fn put(self, to: &mut Partial) {
        to.reg(self.0);
    }
}
impl Operand for Mem {
    fn put(self, to: &mut Partial) {
        to.mem(self);
    }
}
impl Operand for i8 {
    fn put(self, to: &mut Partial) {
        to.inst.imm = self.into();
    }
}
impl Operand for u8 {
    fn put(self, to: &mut Partial) {
        to.inst.imm = self.into();
    }
}
impl Operand for i32 {
    fn put(self, to: &mut Partial) {
        to.inst.imm = self;
    }
}
impl Operand for i64 {
    fn put(self, to: &mut Partial) {
        to.inst.imm = self as i32;
        to.inst.disp = (self >> 32) as i32;
    }
}
impl Operand for Label {
    fn put(self, to: &mut Partial) {
        to.inst.imm = self.0 as i32;
    }
}

macro_rules! either {
    ($($either:ident: $reg:ident;)+) => {$(
        impl From<$reg> for $either {
            fn from(reg: $reg) -> $either {
                $either::$reg(reg)
            }
        }
        impl From<Mem> for $either {
            fn from(mem: Mem) -> $either {
                $either::Mem(mem)
            }
        }
        impl Operand for $either {
            fn put(self, to: &mut Partial) {
                match self {
                    $either::$reg(reg) => reg.put(to),
                    $either::Mem(mem) => mem.put(to),
                }
            }
        }
    )+};
}
either! { GprMem: Gpr; XmmMem: Xmm; YmmMem: Ymm; }

macro_rules! registers {
    ($($class:ident $make:ident: $($name:ident = $number:literal),+;)+) => {$($(
        #[doc = concat!("Register `", stringify!($name), "`.")]
        pub const $name: $class = $class(Reg::$make($number));
    )+)+};
}
registers! {
    Gpr gpr: RAX = 0, RCX = 1, RDX = 2, RBX = 3, RSP = 4, RBP = 5, RSI = 6, RDI = 7,
             R8 = 8, R9 = 9, R10 = 10, R11 = 11, R12 = 12, R13 = 13, R14 = 14, R15 = 15,
             EAX = 0, ECX = 1, EDX = 2, EBX = 3, ESP = 4, EBP = 5, ESI = 6, EDI = 7;
    Xmm vec: XMM0 = 0, XMM1 = 1, XMM2 = 2, XMM3 = 3, XMM4 = 4, XMM5 = 5, XMM6 = 6, XMM7 = 7,
             XMM8 = 8, XMM9 = 9, XMM10 = 10, XMM11 = 11, XMM12 = 12, XMM13 = 13, XMM14 = 14, XMM15 = 15;
    Ymm vec: YMM0 = 0, YMM1 = 1, YMM2 = 2, YMM3 = 3, YMM4 = 4, YMM5 = 5, YMM6 = 6, YMM7 = 7,
             YMM8 = 8, YMM9 = 9, YMM10 = 10, YMM11 = 11, YMM12 = 12, YMM13 = 13, YMM14 = 14, YMM15 = 15;
}

macro_rules! emitters {
    ($(($($name:ident: $type:ty),*) $($method:ident $row:ident),+;)+) => {
        impl Assembler {$(
            emitters!(@ ($($name: $type),*) $($method $row),+);
        )+}
    };
    (@ $args:tt $($method:ident $row:ident),+) => {$(
        emitters!(# $method $row $args);
    )+};
    (# $method:ident $row:ident ($($name:ident: $type:ty),*)) => {
        #[doc = concat!("Appends row `", stringify!($row), "` of the instruction table.")]
        pub fn $method(&mut self, $($name: impl Into<$type>),*) {
            #[allow(unused_mut, reason = "some instructions have no operands")]
            let mut partial = Partial::new(insts::$row);
            $($name.into().put(&mut partial);)*
            self.emit(partial.inst);
        }
    };
}

// The operands in the manual's order, then pairs of emit function and row.
emitters! {
    () ret RET, ud2 UD2, int3 INT3, nop NOP, cdq CDQ, cqo CQO, vzeroupper VZEROUPPER;
    (to: Gpr, value: i32) mov_r32_imm32 MOV_R32_IMM32;
    (to: Gpr, value: i64) mov_r64_imm64 MOV_R64_IMM64;
    (reg: Gpr) push_r64 PUSH_R64, pop_r64 POP_R64;
    (to: Gpr, from: GprMem)
        mov_r32_rm32 MOV_R32_RM32, mov_r64_rm64 MOV_R64_RM64, movsxd_r64_rm32 MOVSXD_R64_RM32,
        movzx_r32_rm8 MOVZX_R32_RM8, movsx_r32_rm8 MOVSX_R32_RM8,
        add_r32_rm32 ADD_R32_RM32, add_r64_rm64 ADD_R64_RM64, sub_r32_rm32 SUB_R32_RM32, sub_r64_rm64 SUB_R64_RM64,
        and_r32_rm32 AND_R32_RM32, and_r64_rm64 AND_R64_RM64, or_r32_rm32 OR_R32_RM32, or_r64_rm64 OR_R64_RM64,
        xor_r32_rm32 XOR_R32_RM32, xor_r64_rm64 XOR_R64_RM64, cmp_r32_rm32 CMP_R32_RM32, cmp_r64_rm64 CMP_R64_RM64,
        imul_r32_rm32 IMUL_R32_RM32, imul_r64_rm64 IMUL_R64_RM64,
        cmove_r32_rm32 CMOVE_R32_RM32, cmovl_r32_rm32 CMOVL_R32_RM32, cmovg_r32_rm32 CMOVG_R32_RM32,
        popcnt_r64_rm64 POPCNT_R64_RM64, lzcnt_r64_rm64 LZCNT_R64_RM64, tzcnt_r64_rm64 TZCNT_R64_RM64;
    (to: GprMem, from: Gpr)
        mov_rm32_r32 MOV_RM32_R32, mov_rm64_r64 MOV_RM64_R64, mov_rm8_r8 MOV_RM8_R8,
        add_rm32_r32 ADD_RM32_R32, add_rm64_r64 ADD_RM64_R64, sub_rm32_r32 SUB_RM32_R32, sub_rm64_r64 SUB_RM64_R64,
        and_rm32_r32 AND_RM32_R32, or_rm32_r32 OR_RM32_R32, xor_rm32_r32 XOR_RM32_R32, cmp_rm32_r32 CMP_RM32_R32,
        test_rm32_r32 TEST_RM32_R32, test_rm64_r64 TEST_RM64_R64;
    (to: GprMem, value: i8)
        add_rm32_imm8 ADD_RM32_IMM8, add_rm64_imm8 ADD_RM64_IMM8, sub_rm32_imm8 SUB_RM32_IMM8,
        sub_rm64_imm8 SUB_RM64_IMM8, and_rm32_imm8 AND_RM32_IMM8, or_rm32_imm8 OR_RM32_IMM8,
        xor_rm32_imm8 XOR_RM32_IMM8, cmp_rm32_imm8 CMP_RM32_IMM8, cmp_rm64_imm8 CMP_RM64_IMM8;
    (to: GprMem, value: i32)
        mov_rm32_imm32 MOV_RM32_IMM32, mov_rm64_imm32 MOV_RM64_IMM32, add_rm32_imm32 ADD_RM32_IMM32,
        add_rm64_imm32 ADD_RM64_IMM32, sub_rm32_imm32 SUB_RM32_IMM32, sub_rm64_imm32 SUB_RM64_IMM32,
        cmp_rm32_imm32 CMP_RM32_IMM32, cmp_rm64_imm32 CMP_RM64_IMM32;
    (to: GprMem, count: u8)
        shl_rm32_imm8 SHL_RM32_IMM8, shl_rm64_imm8 SHL_RM64_IMM8, shr_rm32_imm8 SHR_RM32_IMM8,
        shr_rm64_imm8 SHR_RM64_IMM8, sar_rm32_imm8 SAR_RM32_IMM8, sar_rm64_imm8 SAR_RM64_IMM8;
    (to: Gpr, from: GprMem, value: i32) imul_r32_rm32_imm32 IMUL_R32_RM32_IMM32, imul_r64_rm64_imm32 IMUL_R64_RM64_IMM32;
    (to: Gpr, from: GprMem, value: i8) imul_r32_rm32_imm8 IMUL_R32_RM32_IMM8, imul_r64_rm64_imm8 IMUL_R64_RM64_IMM8;
    (to: Gpr, address: Mem) lea_r32 LEA_R32, lea_r64 LEA_R64;
    (reg: GprMem)
        neg_rm32 NEG_RM32, neg_rm64 NEG_RM64, not_rm32 NOT_RM32, not_rm64 NOT_RM64,
        mul_rm64 MUL_RM64, div_rm32 DIV_RM32, div_rm64 DIV_RM64, idiv_rm32 IDIV_RM32, idiv_rm64 IDIV_RM64,
        sete_rm8 SETE_RM8, setne_rm8 SETNE_RM8, setl_rm8 SETL_RM8, setg_rm8 SETG_RM8, setb_rm8 SETB_RM8,
        seta_rm8 SETA_RM8, call_rm64 CALL_RM64, jmp_rm64 JMP_RM64;
    (to: Label)
        jmp JMP, call CALL, jo JO, jno JNO, jb JB, jae JAE, je JE, jne JNE, jbe JBE, ja JA, js JS, jns JNS, jp JP,
        jnp JNP, jl JL, jge JGE, jle JLE, jg JG;
    (to: Xmm, from: Xmm) movss MOVSS, movsd MOVSD;
    (to: Xmm, from: Mem) movss_load MOVSS_LOAD, movsd_load MOVSD_LOAD;
    (to: Mem, from: Xmm) movss_store MOVSS_STORE, movsd_store MOVSD_STORE;
    (to: Xmm, from: XmmMem)
        movaps MOVAPS, movapd MOVAPD, movups MOVUPS, movupd MOVUPD,
        addss ADDSS, subss SUBSS, mulss MULSS, divss DIVSS, sqrtss SQRTSS, minss MINSS, maxss MAXSS,
        addsd ADDSD, subsd SUBSD, mulsd MULSD, divsd DIVSD, sqrtsd SQRTSD, minsd MINSD, maxsd MAXSD,
        addps ADDPS, subps SUBPS, mulps MULPS, divps DIVPS, sqrtps SQRTPS,
        addpd ADDPD, subpd SUBPD, mulpd MULPD, divpd DIVPD, sqrtpd SQRTPD,
        andps ANDPS, andpd ANDPD, orpd ORPD, xorps XORPS, xorpd XORPD, ucomiss UCOMISS, ucomisd UCOMISD,
        cvtss2sd CVTSS2SD, cvtsd2ss CVTSD2SS, cvtdq2pd CVTDQ2PD;
    (to: XmmMem, from: Xmm) movups_store MOVUPS_STORE, movupd_store MOVUPD_STORE;
    (to: Xmm, from: GprMem)
        cvtsi2sd_rm32 CVTSI2SD_RM32, cvtsi2sd_rm64 CVTSI2SD_RM64, movd_xmm_rm32 MOVD_XMM_RM32,
        movq_xmm_rm64 MOVQ_XMM_RM64;
    (to: GprMem, from: Xmm) movd_rm32_xmm MOVD_RM32_XMM, movq_rm64_xmm MOVQ_RM64_XMM;
    (to: Gpr, from: XmmMem) cvttsd2si_r32 CVTTSD2SI_R32, cvttsd2si_r64 CVTTSD2SI_R64;
    (to: Xmm, left: Xmm, right: XmmMem)
        vaddsd VADDSD, vsubsd VSUBSD, vmulsd VMULSD, vdivsd VDIVSD, vaddpd_128 VADDPD_128, vmulpd_128 VMULPD_128,
        vfmadd213sd VFMADD213SD, vfmadd231sd VFMADD231SD;
    (to: Ymm, left: Ymm, right: YmmMem)
        vaddpd_256 VADDPD_256, vsubpd_256 VSUBPD_256, vmulpd_256 VMULPD_256, vdivpd_256 VDIVPD_256,
        vaddps_256 VADDPS_256, vmulps_256 VMULPS_256, vfmadd213pd_256 VFMADD213PD_256,
        vfmadd231pd_256 VFMADD231PD_256;
    (to: Ymm, from: YmmMem) vmovupd_256 VMOVUPD_256, vmovups_256 VMOVUPS_256, vsqrtpd_256 VSQRTPD_256;
    (to: YmmMem, from: Ymm) vmovupd_store_256 VMOVUPD_STORE_256, vmovups_store_256 VMOVUPS_STORE_256;
}
