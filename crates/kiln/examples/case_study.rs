//! How a formula compiler works, from six bytes on.
//!
//! Each stage below is a function that prints what it does: bytes, a comment for each instruction, and the result of
//! calling them. Run it with `cargo run --example case_study`. The code is for x86-64 with the System V calling
//! convention (the first integer arguments in `edi` and `esi`, the result in `eax`), which the function types name,
//! so it runs the same on every x86-64 system.

#![allow(clippy::print_stdout, reason = "an example prints")]

fn main() {
    #[cfg(target_arch = "x86_64")]
    stages::run();
    #[cfg(not(target_arch = "x86_64"))]
    println!("This example calls x86-64 code and does nothing on other processors.");
}

#[cfg(target_arch = "x86_64")]
mod stages {
    use kiln::asm::{Assembler, EAX, ECX, EDI, EDX, ESI, Function, FunctionPointer, Gpr, Mem, R8, RAX, RCX, RDI};
    use kiln::mem::Draft;
    use kiln::{Engine, Inspection, Options, Type};

    /// A function of no argument, one, two and three.
    type Nullary = extern "sysv64" fn() -> i32;
    type Unary = extern "sysv64" fn(i32) -> i32;
    type Unary64 = extern "sysv64" fn(i64) -> i64;
    type Binary = extern "sysv64" fn(i32, i32) -> i32;
    type Ternary = extern "sysv64" fn(i32, i32, i32) -> i32;

    /// All stages, in the order in which they build on each other.
    pub(crate) fn run() {
        memory();
        return_42();
        increment();
        multiply();
        tree_walk();
        folding();
        rules();
        registers();
        inlining();
        loops();
    }

    fn heading(title: &str) {
        println!("\n{title}\n{}", "-".repeat(title.len()));
    }

    /// Prints lines of bytes with comments, and checks that they are exactly the code.
    fn explain(code: &[u8], lines: &[(&[u8], &str)]) {
        let mut rest = code;
        for (bytes, comment) in lines {
            assert!(rest.starts_with(bytes), "the comment is about other code");
            rest = &rest[bytes.len()..];
            let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            println!("  {:<22} {comment}", hex.join(" "));
        }
        assert!(rest.is_empty(), "code without a comment");
    }

    /// Puts code into executable memory.
    fn seal<F: FunctionPointer>(code: &[u8]) -> Function<F> {
        Function::new(Draft::from_bytes(code.to_vec()).seal().expect("executable memory"))
    }

    /// Memory that can be run: written first, sealed, freed.
    fn memory() {
        heading("Memory that can be run");
        let draft = Draft::from_bytes(vec![0xC3]);
        println!("  a draft of {} byte: it can be changed, and has no address to call", draft.bytes().len());
        let sealed = draft.seal().expect("executable memory");
        println!("  sealed: {} byte that can be run and no longer be written", sealed.len());
        drop(sealed);
        println!("  dropped: the page is given back");
        println!("  There is no third state. A page that is writable and executable at once would let any stray");
        println!(
            "  write in the program, or a hostile formula with one bug to lean on, become code; so none is offered."
        );
    }

    fn return_42() {
        heading("Return 42");
        let mut a = Assembler::new();
        a.mov_r32_imm32(EAX, 42);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(&code, &[(&[0xB8, 0x2A, 0, 0, 0], "mov eax, 42    the result goes into eax"), (&[0xC3], "ret")]);
        let function = seal::<Nullary>(&code);
        // SAFETY: the code above takes no arguments, leaves an i32 in eax, touches nothing else and returns.
        let f = unsafe { function.get() };
        println!("  f() = {}", f());
    }

    fn increment() {
        heading("Increment, three ways");
        let mut a = Assembler::new();
        a.mov_rm32_r32(EAX, EDI);
        a.add_rm32_imm8(EAX, 1);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(
            &code,
            &[
                (&[0x89, 0xF8], "mov eax, edi   the first argument arrives in edi"),
                (&[0x83, 0xC0, 0x01], "add eax, 1"),
                (&[0xC3], "ret"),
            ],
        );
        let function = seal::<Unary>(&code);
        // SAFETY: the code above is a function of an i32 to an i32 that touches only eax.
        let f = unsafe { function.get() };
        println!("  f(41) = {}", f(41));

        let mut a = Assembler::new();
        a.lea_r32(EAX, Mem::base(RDI).disp(1));
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(&code, &[(&[0x8D, 0x47, 0x01], "lea eax, [rdi+1]   address arithmetic adds too"), (&[0xC3], "ret")]);
        let function = seal::<Unary>(&code);
        // SAFETY: as before.
        let f = unsafe { function.get() };
        println!("  f(41) = {}", f(41));

        let mut a = Assembler::new();
        a.lea_r64(RAX, Mem::base(RDI).disp(1));
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(&code, &[(&[0x48, 0x8D, 0x47, 0x01], "lea rax, [rdi+1]   48 makes it 64 bits wide"), (&[0xC3], "ret")]);
        let function = seal::<Unary64>(&code);
        // SAFETY: as before, with i64.
        let f = unsafe { function.get() };
        println!("  f(41) = {}", f(41));
    }

    /// The emit function for one instruction, by hand: `imul to, from` is 0F AF and a byte that names the registers.
    fn emit_imul(code: &mut Vec<u8>, to: u8, from: u8) {
        code.extend([0x0F, 0xAF, 0b1100_0000 | to << 3 | from]);
    }

    fn multiply() {
        heading("Multiply");
        let mut a = Assembler::new();
        a.mov_rm32_r32(EAX, EDI);
        a.imul_r32_rm32(EAX, ESI);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(
            &code,
            &[
                (&[0x89, 0xF8], "mov eax, edi"),
                (&[0x0F, 0xAF, 0xC6], "imul eax, esi   the second argument arrives in esi"),
                (&[0xC3], "ret"),
            ],
        );
        let function = seal::<Binary>(&code);
        // SAFETY: the code above is a function of two i32 to an i32 that touches only eax.
        let f = unsafe { function.get() };
        println!("  f(6, 7) = {}", f(6, 7));

        let mut code = Vec::new();
        emit_imul(&mut code, 0, 7);
        explain(&code, &[(&[0x0F, 0xAF, 0xC7], "imul eax, edi   from an emit function of one line")]);
    }

    /// A formula as a tree.
    enum Tree {
        Constant(i32),
        X,
        Add(Box<Tree>, Box<Tree>),
        Multiply(Box<Tree>, Box<Tree>),
    }

    /// Code that leaves the tree's value in eax. The left value waits on the stack while the right one is computed.
    fn walk(tree: &Tree, a: &mut Assembler) {
        const RIGHT: Gpr = ECX;
        match tree {
            Tree::Constant(value) => a.mov_r32_imm32(EAX, *value),
            Tree::X => a.mov_rm32_r32(EAX, EDI),
            Tree::Add(left, right) | Tree::Multiply(left, right) => {
                walk(left, a);
                a.push_r64(RAX);
                walk(right, a);
                a.pop_r64(RCX);
                match tree {
                    Tree::Add(..) => a.add_rm32_r32(EAX, RIGHT),
                    _ => a.imul_r32_rm32(EAX, RIGHT),
                }
            }
        }
    }

    fn tree_walk() {
        heading("(x + 5) * 3, by walking a tree");
        let sum = Tree::Add(Box::new(Tree::X), Box::new(Tree::Constant(5)));
        let tree = Tree::Multiply(Box::new(sum), Box::new(Tree::Constant(3)));
        let mut a = Assembler::new();
        walk(&tree, &mut a);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(
            &code,
            &[
                (&[0x89, 0xF8], "mov eax, edi   x"),
                (&[0x50], "push rax       wait"),
                (&[0xB8, 5, 0, 0, 0], "mov eax, 5"),
                (&[0x59], "pop rcx        x again"),
                (&[0x01, 0xC8], "add eax, ecx   x + 5"),
                (&[0x50], "push rax"),
                (&[0xB8, 3, 0, 0, 0], "mov eax, 3"),
                (&[0x59], "pop rcx"),
                (&[0x0F, 0xAF, 0xC1], "imul eax, ecx  (x + 5) * 3"),
                (&[0xC3], "ret"),
            ],
        );
        let function = seal::<Unary>(&code);
        // SAFETY: the code above is a function of an i32 to an i32; it pops what it pushes and touches eax and ecx.
        let f = unsafe { function.get() };
        println!("  f(4) = {}", f(4));
        println!("  f(10) = {}", f(10));
        println!("  Ten instructions and four trips through memory for two operations: what follows does better.");
    }

    /// Compiles a formula as the engine does, and shows what every stage made of it.
    fn compile(formula: &str) -> Inspection {
        let mut options = Options::default();
        options.default_type = Some(Type::I32);
        let engine = Engine::with_options(options).expect("this machine's own level");
        engine.formula(formula).inspect().expect("a formula without errors")
    }

    fn show(formula: &str) -> Inspection {
        let inspection = compile(formula);
        println!("  {formula}");
        for line in &inspection.code {
            let hex: Vec<String> = line.bytes.iter().map(|byte| format!("{byte:02X}")).collect();
            println!("    {:<22} {}", hex.join(" "), line.text);
        }
        inspection
    }

    /// The same evaluator after its first lesson: what is known is computed now.
    fn folding() {
        heading("Constant folding");
        let inspection = show("5 * 3");
        println!("  As written:   {}", inspection.ir_unoptimised.replace('\n', "; "));
        println!("  As compiled:  {}", inspection.ir.replace('\n', "; "));
        println!("  Folding runs the very closure that says what `mul` means, so it cannot disagree with the machine.");
    }

    /// Its second lesson: equal formulas, cheaper ones.
    fn rules() {
        heading("Rules");
        for formula in ["x * 8", "x - x", "(x + 5) + 7", "(x + 5) * 3"] {
            let inspection = show(formula);
            for rule in &inspection.rules {
                println!("    rule {:<18} gives {}", rule.rule, rule.result);
            }
        }
    }

    /// And its third: values stay in registers, and an instruction may do the work of three.
    fn registers() {
        heading("Register allocation");
        let engine = Engine::new();
        let f = engine.compile_typed::<fn(i32) -> i32>("(x + 5) * 3").expect("a formula of one i32");
        show("(x + 5) * 3");
        println!("  f(4) = {}", f.call(4));
        println!("  f(10) = {}", f.call(10));
        let naive = 2 + 1 + 5 + 1 + 2 + 1 + 5 + 1 + 3 + 1;
        println!("  {} bytes instead of {naive}, and no memory touched.", f.function().code_bytes().len());
        show("|a: i32, b: i32, c: i32, d: i32| a*b + (c*d - (a + d))");
        println!("  The walk from the result to the inputs meets each value at its last use first, so a register is");
        println!("  taken there and given back at the definition; no value here ever sees the stack.");
    }

    /// A formula's own functions are called by hand here, and copied into their callers by the compiler.
    fn inlining() {
        heading("Inlining: square(x) + square(x + 1)");
        println!("  Before: the function is called twice.");
        let mut a = Assembler::new();
        let square = a.label();
        a.push_r64(RDI);
        a.call(square);
        a.pop_r64(RDI);
        a.push_r64(RAX);
        a.lea_r32(EDI, Mem::base(RDI).disp(1));
        a.call(square);
        a.pop_r64(RCX);
        a.add_rm32_r32(EAX, ECX);
        a.ret();
        a.bind(square);
        a.mov_rm32_r32(EAX, EDI);
        a.imul_r32_rm32(EAX, EDI);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(
            &code,
            &[
                (&[0x57], "push rdi            x waits"),
                (&[0xE8, 0x0E, 0, 0, 0], "call square"),
                (&[0x5F], "pop rdi"),
                (&[0x50], "push rax            the first square waits"),
                (&[0x8D, 0x7F, 0x01], "lea edi, [rdi+1]"),
                (&[0xE8, 0x04, 0, 0, 0], "call square"),
                (&[0x59], "pop rcx"),
                (&[0x01, 0xC8], "add eax, ecx"),
                (&[0xC3], "ret"),
                (&[0x89, 0xF8], "square: mov eax, edi"),
                (&[0x0F, 0xAF, 0xC7], "imul eax, edi"),
                (&[0xC3], "ret"),
            ],
        );
        let function = seal::<Unary>(&code);
        // SAFETY: the code above is a function of an i32 to an i32; it pops what it pushes and touches eax, ecx and edi.
        let f = unsafe { function.get() };
        println!("  f(3) = {}", f(3));
        println!("  After: its operations are copied to where it is called, and everything above works on the copy.");
        show("fn square(a) = a*a; square(x) + square(x + 1)");
        println!("  A copy knows its arguments, so that constants fold through it: square(3) + square(4) is");
        show("fn square(a) = a*a; square(3) + square(4)");
    }

    /// A loop as it is written, and what is left of it.
    fn loops() {
        heading("Loops: the sum of k*a*b for k from 0 to n");
        println!("  Before: as it is written.");
        let mut a = Assembler::new();
        let (test, end) = (a.label(), a.label());
        a.xor_rm32_r32(EAX, EAX);
        a.xor_rm32_r32(ECX, ECX);
        a.bind(test);
        a.cmp_rm32_r32(ECX, EDX);
        a.jge(end);
        a.mov_rm32_r32(R8, ECX);
        a.imul_r32_rm32(R8, EDI);
        a.imul_r32_rm32(R8, ESI);
        a.add_rm32_r32(EAX, R8);
        a.add_rm32_imm8(ECX, 1);
        a.jmp(test);
        a.bind(end);
        a.ret();
        let code = a.finish().expect("it assembles");
        explain(
            &code,
            &[
                (&[0x31, 0xC0], "xor eax, eax        the sum"),
                (&[0x31, 0xC9], "xor ecx, ecx        k"),
                (&[0x39, 0xD1], "cmp ecx, edx        k < n?"),
                (&[0x7D, 0x13], "jge to the end"),
                (&[0x41, 0x89, 0xC8], "mov r8d, ecx"),
                (&[0x44, 0x0F, 0xAF, 0xC7], "imul r8d, edi       k*a"),
                (&[0x44, 0x0F, 0xAF, 0xC6], "imul r8d, esi       k*a*b"),
                (&[0x44, 0x01, 0xC0], "add eax, r8d"),
                (&[0x83, 0xC1, 0x01], "add ecx, 1"),
                (&[0xEB, 0xE9], "jmp to the test"),
                (&[0xC3], "ret"),
            ],
        );
        let function = seal::<Ternary>(&code);
        // SAFETY: the code above is a function of three i32 to an i32 that touches eax, ecx and r8 alone.
        let f = unsafe { function.get() };
        println!("  f(2, 3, 5) = {}", f(2, 3, 5));
        println!(
            "  After: a*b does not change, so it is computed before the loop; k times it grows by it, so it is added."
        );
        println!("  The test stands at the end, and an iteration has one jump.");
        show("|a: i32, b: i32, n: i32| sum(k*(a*b) for k in 0..n)");
        println!("  With a small constant number of iterations there is no loop at all:");
        show("|a: i32, b: i32| sum(k*(a*b) for k in 0..4)");
    }
}
