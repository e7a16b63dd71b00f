//! Formulas over columns for callers that know C and no Kiln.
//!
//! Owns the stub: the few instructions that pass a formula on to the code that all formulas share. Knows what the engine
//! knows, and the assembler.

use super::Function;
use crate::asm::{Assembler, Mem, R8, RAX, RSP};
use crate::error::RunError;
use crate::run::layout::Place;
use crate::run::native::NativeKernel;

impl Function {
    /// The formula over columns as a C function, which has the signature of NumPy's inner loops.
    ///
    /// ```
    /// let f = kiln::Engine::new().compile("x * x")?;
    /// # if f.native_kernel().is_none() { return Ok(()); }
    /// let kernel = f.native_kernel().expect("machine code can be run here");
    /// let (x, mut out) = ([1.0, 2.0, 3.0], [0.0; 3]);
    /// let args = [x.as_ptr().cast_mut().cast(), out.as_mut_ptr().cast()];
    /// let failed_row = std::ptr::null_mut();
    /// // SAFETY: one input and one output of three rows of eight bytes.
    /// let status = unsafe { kernel.get()(args.as_ptr(), &3, [8, 8].as_ptr(), failed_row) };
    /// assert_eq!((status, out), (0, [1.0, 4.0, 9.0]));
    /// # Ok::<(), kiln::Error>(())
    /// ```
    ///
    /// None where machine code is refused or not wanted, and for formulas whose results need several rows or fewer than
    /// all: aggregates over rows, filters.
    #[must_use]
    pub fn native_kernel(&self) -> Option<NativeKernel> {
        self.inner.body.code()?;
        if self.is_about_columns() {
            return None;
        }
        let types = self.params().iter().map(|param| param.ty).chain(self.outputs().iter().map(|output| output.ty));
        let function = self.clone();
        let evaluate =
            move |places: &[Place<'_>], rows: usize| match function.run_columns(places, rows, 0, function.threads()) {
                Ok(()) => Ok(()),
                Err(RunError::Row { row, .. }) => Err(row),
                // Nothing else can happen to columns that suit.
                Err(_) => Err(0),
            };
        NativeKernel::new(types.collect(), self.params().len(), Box::new(evaluate), &self.inner.shared.arena, stub).ok()
    }
}

/// A C function of four arguments that calls another with these and `last`.
fn stub(entry: usize, last: usize) -> Vec<u8> {
    let mut a = Assembler::new();
    if cfg!(windows) {
        // The fifth argument stands above 32 bytes for the first four; 56 bytes keep the stack aligned.
        a.sub_rm64_imm8(RSP, 56);
        a.mov_r64_imm64(RAX, last as i64);
        a.mov_rm64_r64(Mem::base(RSP).disp(32), RAX);
        a.mov_r64_imm64(RAX, entry as i64);
        a.call_rm64(RAX);
        a.add_rm64_imm8(RSP, 56);
        a.ret();
    } else {
        a.mov_r64_imm64(R8, last as i64);
        a.mov_r64_imm64(RAX, entry as i64);
        a.jmp_rm64(RAX);
    }
    a.finish().expect("these instructions take these operands")
}
