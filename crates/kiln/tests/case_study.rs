//! Golden bytes for the stages of the example `case_study`, and calls of each; and the public assembler's errors.

use kiln::asm::*;

fn code(build: impl FnOnce(&mut Assembler)) -> Vec<u8> {
    let mut a = Assembler::new();
    build(&mut a);
    a.finish().expect("it assembles")
}

fn sealed<F: FunctionPointer>(build: impl FnOnce(&mut Assembler)) -> Function<F> {
    let mut a = Assembler::new();
    build(&mut a);
    a.seal().expect("executable memory")
}

fn return_42(a: &mut Assembler) {
    a.mov_r32_imm32(EAX, 42);
    a.ret();
}

fn increment(a: &mut Assembler) {
    a.mov_rm32_r32(EAX, EDI);
    a.add_rm32_imm8(EAX, 1);
    a.ret();
}

fn multiply(a: &mut Assembler) {
    a.mov_rm32_r32(EAX, EDI);
    a.imul_r32_rm32(EAX, ESI);
    a.ret();
}

fn x_plus_5_times_3(a: &mut Assembler) {
    a.mov_rm32_r32(EAX, EDI);
    for (value, add) in [(5, true), (3, false)] {
        a.push_r64(RAX);
        a.mov_r32_imm32(EAX, value);
        a.pop_r64(RCX);
        if add {
            a.add_rm32_r32(EAX, ECX);
        } else {
            a.imul_r32_rm32(EAX, ECX);
        }
    }
    a.ret();
}

#[test]
fn golden_bytes() {
    assert_eq!(code(return_42), [0xB8, 0x2A, 0, 0, 0, 0xC3]);
    assert_eq!(code(increment), [0x89, 0xF8, 0x83, 0xC0, 0x01, 0xC3]);
    let leaf32 = code(|a| {
        a.lea_r32(EAX, Mem::base(RDI).disp(1));
        a.ret();
    });
    assert_eq!(leaf32, [0x8D, 0x47, 0x01, 0xC3]);
    let leaf64 = code(|a| {
        a.lea_r64(RAX, Mem::base(RDI).disp(1));
        a.ret();
    });
    assert_eq!(leaf64, [0x48, 0x8D, 0x47, 0x01, 0xC3]);
    assert_eq!(code(multiply), [0x89, 0xF8, 0x0F, 0xAF, 0xC6, 0xC3]);
    assert_eq!(code(|a| a.imul_r32_rm32(EAX, EDI)), [0x0F, 0xAF, 0xC7]);
    let expected =
        [0x89, 0xF8, 0x50, 0xB8, 5, 0, 0, 0, 0x59, 0x01, 0xC8, 0x50, 0xB8, 3, 0, 0, 0, 0x59, 0x0F, 0xAF, 0xC1, 0xC3];
    assert_eq!(code(x_plus_5_times_3), expected);
}

#[test]
fn labels_constants_and_raw_bytes() {
    let bytes = code(|a| {
        let end = a.label();
        a.je(end);
        a.bytes(&[0x90, 0x90]);
        a.bind(end);
        let one = a.constant(&1.0f64.to_bits().to_le_bytes());
        a.addsd(XMM0, one);
        a.ret();
    });
    let expected = [0x74, 2, 0x90, 0x90, 0xF2, 0x0F, 0x58, 0x05, 4, 0, 0, 0, 0xC3, 0xCC, 0xCC, 0xCC];
    assert_eq!(bytes[..16], expected);
    assert_eq!(bytes[16..], 1.0f64.to_bits().to_le_bytes());
}

#[test]
fn misuse_is_an_error() {
    let error = |build: &dyn Fn(&mut Assembler)| {
        let mut a = Assembler::with_limit(4096);
        build(&mut a);
        a.finish().expect_err("misuse")
    };
    let wrong_index = error(&|a| a.lea_r64(RAX, Mem::base(RAX).index(RSP, Scale::Two)));
    assert_eq!(wrong_index.to_string(), "`LEA r64, m` wants a general-purpose register other than rsp as index");
    let unbound = error(&|a| {
        let label = a.label();
        a.jmp(label);
    });
    assert!(matches!(unbound, AsmError::UnboundLabel(_)));
    let twice = error(&|a| {
        let label = a.label();
        a.bind(label);
        a.bind(label);
    });
    assert!(matches!(twice, AsmError::BoundTwice(_)));
    assert_eq!(error(&|a| (0..5000).for_each(|_| a.ret())), AsmError::TooLarge);
    let indexed_constant = error(&|a| {
        let constant = a.constant(&[0; 8]);
        a.movsd_load(XMM0, constant.index(RCX, Scale::Eight));
    });
    assert!(matches!(indexed_constant, AsmError::Operand { .. }));
    assert!(matches!(error(&|a| _ = a.constant(&[0; 3])), AsmError::Operand { .. }));
}

#[cfg(target_arch = "x86_64")]
mod calls {
    use super::*;

    type Unary = extern "sysv64" fn(i32) -> i32;

    #[test]
    fn integers() {
        let function = sealed::<extern "sysv64" fn() -> i32>(return_42);
        // SAFETY: the code returns 42 and touches only eax.
        assert_eq!(unsafe { function.get() }(), 42);
        assert_eq!(function.code_bytes(), 6);
        assert_eq!(function.bytes(), code(return_42));

        let function = sealed::<Unary>(increment);
        // SAFETY: the code is a function of an i32 to an i32 that touches only eax.
        assert_eq!(unsafe { function.get() }(41), 42);

        let function = sealed::<extern "sysv64" fn(i32, i32) -> i32>(multiply);
        // SAFETY: the code is a function of two i32 to an i32 that touches only eax.
        assert_eq!(unsafe { function.get() }(6, 7), 42);

        let function = sealed::<Unary>(x_plus_5_times_3);
        // SAFETY: the code pops what it pushes and touches only eax and ecx.
        let f = unsafe { function.get() };
        assert_eq!((f(4), f(10)), (27, 45));
    }

    #[test]
    fn floats_and_loops() {
        // The sum of n doubles, and a constant.
        let function = sealed::<extern "sysv64" fn(*const f64, i64) -> f64>(|a| {
            let (top, end) = (a.label(), a.label());
            let half = a.constant(&0.5f64.to_bits().to_le_bytes());
            a.movsd_load(XMM0, half);
            a.test_rm64_r64(RSI, RSI);
            a.je(end);
            a.align(32);
            a.bind(top);
            a.addsd(XMM0, Mem::base(RDI));
            a.add_rm64_imm8(RDI, 8);
            a.sub_rm64_imm8(RSI, 1);
            a.jne(top);
            a.bind(end);
            a.ret();
        });
        // SAFETY: the code reads as many doubles as its second argument says, which is how many are passed.
        let sum = unsafe { function.get() };
        let values = [1.0, 2.0, 4.0];
        assert_eq!(sum(values.as_ptr(), 3), 7.5);
        assert_eq!(sum(values.as_ptr(), 0), 0.5);
    }
}
